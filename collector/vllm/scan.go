package vllm

import (
	"bytes"
	"fmt"

	"github.com/gpu-watchdog/gpu-watchdog/internal/exposition"
)

var (
	lineBreak   = []byte("\n")
	quote       = []byte(`"`)
	eofLine     = []byte("# EOF")
	typeHTTP    = []byte("# TYPE http_requests_total ")
	typeHTTPNew = []byte("# TYPE http_requests ") // OpenMetrics names the family without _total
	enginePre   = []byte("vllm:")
	infoSuffix  = []byte("_info")
)

// scan goes through a page and takes apart the lines of families that we read, and every line that is not evidently a comment
// or a sample of another family. Nine of ten lines of a real page are evidently such: they cost a look at the name, the
// quotes and the last byte.
func (r *reader) scan(body []byte, openMetrics bool, t *tally) error {
	ended, samples := false, 0
	declaration := typeHTTP
	if openMetrics {
		declaration = typeHTTPNew
	}
	for n := 1; len(body) > 0; n++ {
		line, rest, whole := bytes.Cut(body, lineBreak)
		if !whole && !(openMetrics && bytes.Equal(line, eofLine)) {
			return errHalf
		}
		body = rest
		if ended {
			return errAfterEOF
		}
		if len(line) == 0 {
			continue
		}
		if line[0] == '#' {
			ended = openMetrics && bytes.Equal(line, eofLine)
			t.httpDeclared = t.httpDeclared || bytes.HasPrefix(line, declaration)
			continue
		}
		samples++
		name := line[:exposition.NameEnd(line)]
		f := lookup(name)
		if f == foreign {
			if bytes.HasPrefix(name, enginePre) && !bytes.HasSuffix(name, infoSuffix) {
				t.foreign = true
			}
			if evident(line, len(name)) {
				continue
			}
		}
		if bytes.IndexByte(line, '\\') < 0 && bytes.Count(line, quote)%2 != 0 {
			return errBrokenRow
		}
		if !r.sample.Parse(line, openMetrics) {
			// The line itself is not ours to repeat.
			return fmt.Errorf("line %d is not a sample of a metrics page", n)
		}
		// A name in quotes stands inside the braces.
		if err := t.add(lookup(r.sample.Name), &r.sample); err != nil {
			return err
		}
	}
	if openMetrics && !ended {
		return errNoEOF
	}
	if samples == 0 {
		return errEmpty
	}
	return nil
}

// evident says that a line is a sample beyond doubt, as far as line breaks go: it has a name, its quotes are in pairs
// (so no label value runs on into the next line), and it ends like a number. What is not is taken apart.
func evident(line []byte, name int) bool {
	if name == 0 || name == len(line) {
		return false
	}
	if last := line[len(line)-1]; (last < '0' || last > '9') && last != 'N' && last != 'f' {
		return false
	}
	if line[name] != '{' {
		return bytes.IndexByte(line, '"') < 0
	}
	return bytes.IndexByte(line, '\\') < 0 && bytes.Count(line, quote)%2 == 0
}
