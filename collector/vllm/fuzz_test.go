package vllm

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// recordedPages returns the pages in testdata, by name.
func recordedPages(tb testing.TB) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob("testdata/*.metrics.gz")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no recorded pages in testdata: %v", err)
	}
	pages := map[string][]byte{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			tb.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		body, err := io.ReadAll(z)
		f.Close()
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
		pages[strings.TrimSuffix(filepath.Base(path), ".metrics.gz")] = body
	}
	return pages
}

// uncommented is a page without its comments, of which each is a line. The library lets a quotation mark in one swallow the lines
// after it, as far as the next quotation mark.
func uncommented(body []byte) []byte {
	var out []byte
	for line := range bytes.Lines(body) {
		if !bytes.HasPrefix(line, []byte("#")) || bytes.Equal(bytes.TrimRight(line, "\n"), eofLine) {
			out = append(out, line...)
		}
	}
	return out
}

// FuzzParsePage: whatever comes, the values are finite and not negative, engines are bounded and sorted, memory grows
// with the page and no further, and what the plain parser reads of the same bytes is the same. A line of rubbish makes the
// page unreadable or changes nothing.
func FuzzParsePage(f *testing.F) {
	f.Add([]byte(openPage), true)
	f.Add([]byte(openPage), false)
	f.Add([]byte("vllm:prompt_tokens_total{engine=\"0\"} 5\nvllm:num_requests_running{engine=\"1\",pid=\"3\"} 2\n"), false)
	f.Add([]byte("{\"vllm:prompt_tokens_total\",engine=\"0\"} 5\nfoo{a=\"\\\\5\"} 1\n"), false)
	f.Add([]byte("foo{a=\"5\nvllm:num_requests_running 7\nb\"} 1\n"), false)
	f.Add([]byte("# HELP \"\nvllm:iteration_tokens_total_count{A=\"\"}0\n"), false)
	f.Add([]byte(manyEngines(5)), false)
	for _, page := range recordedPages(f) {
		f.Add(firstLines(page, 4<<10), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, openMetrics bool) {
		contentType := textType
		if openMetrics {
			contentType = openType
		}
		original := bytes.Clone(body)
		var r reader
		before := allocated()
		page, err := r.read(body, contentType)
		if grown := allocated() - before; grown > 1<<20+64*uint64(len(body)) {
			t.Errorf("%d bytes were allocated for a page of %d", grown, len(body))
		}
		if !bytes.Equal(body, original) {
			t.Fatal("the page was written to")
		}
		if err != nil {
			return
		}
		checkSane(t, page)

		if all, err := referenceSeries(uncommented(body), openMetrics); err == nil {
			if diff := cmp.Diff(referenceEngines(all), stripped(page)); diff != "" {
				t.Errorf("the plain parser reads other engines: %s", diff)
			}
		}
		if openMetrics {
			return // its end mark cannot be followed by anything
		}
		for _, rubbish := range []string{"rubbish\n", "rub bish 5\n", "<html>\n", "\x00\n", "}{ 1\n", "# vllm:num_requests_running 9\n"} {
			again, err := ParsePage(slices.Concat(body, []byte(rubbish)), contentType)
			if err == nil {
				if diff := cmp.Diff(page, again); diff != "" {
					t.Errorf("%q changed the page: %s", rubbish, diff)
				}
			}
		}
	})
}

// stripped leaves out what the reference does not interpret.
func stripped(p Page) []watchdog.Engine {
	engines := slices.Clone(p.Engines)
	for i := range engines {
		engines[i].KVUsage, engines[i].Awake = watchdog.Maybe[float64]{}, watchdog.Maybe[bool]{}
	}
	return engines
}

func checkSane(t *testing.T, p Page) {
	t.Helper()
	if len(p.Engines) > maxEngines {
		t.Errorf("%d engines", len(p.Engines))
	}
	values := []watchdog.Maybe[float64]{p.HTTPRequests, watchdog.Known(p.StartedAt)}
	for i, e := range p.Engines {
		if e.ID == "" || i > 0 && e.ID <= p.Engines[i-1].ID {
			t.Errorf("engine %q is out of order", e.ID)
		}
		if e.KVUsage.Or(0) > 1 {
			t.Errorf("a share of %v", e.KVUsage.Value)
		}
		values = append(values, e.Running, e.Waiting, e.KVUsage, e.FirstTokenSecondsSum)
		values = append(values, e.Counters[:]...)
	}
	for _, v := range values {
		if !(v.Value >= 0) || math.IsInf(v.Value, 0) {
			t.Errorf("a value of %v", v.Value)
		}
		if !v.Known && v.Value != 0 {
			t.Errorf("an unknown value of %v", v.Value)
		}
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// firstLines cuts a page at a line, at most n bytes in.
func firstLines(page []byte, n int) []byte {
	page = page[:min(n, len(page))]
	return page[:bytes.LastIndexByte(page, '\n')+1]
}

// FuzzBothFormats writes the same random families as text and as OpenMetrics: they must be read alike, and as what was
// written.
func FuzzBothFormats(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := writePage(rand.New(rand.NewPCG(seed, 1)))
		text, err := ParsePage([]byte(w.text.String()), textType)
		if err != nil {
			t.Fatalf("text: %v\n%s", err, w.text.String())
		}
		open, err := ParsePage([]byte(w.open.String()+"# EOF\n"), openType)
		if err != nil {
			t.Fatalf("OpenMetrics: %v\n%s", err, w.open.String())
		}
		if diff := cmp.Diff(text, open); diff != "" {
			t.Errorf("text and OpenMetrics differ: %s", diff)
		}
		if diff := cmp.Diff(w.want, text); diff != "" {
			t.Errorf("read other than written: %s\n%s", diff, w.text.String())
		}
	})
}

// writer writes one page in both formats and keeps what it says.
type writer struct {
	text, open strings.Builder
	want       Page
}

// family writes one family; each series is name-suffix, labels and value.
func (w *writer) family(name, kind string, lines []string) {
	textName := name
	if kind == "counter" {
		textName += "_total"
	}
	fmt.Fprintf(&w.text, "# HELP %s Words # and \"more\".\n# TYPE %s %s\n", textName, textName, kind)
	fmt.Fprintf(&w.open, "# HELP %s Words.\n# TYPE %s %s\n", name, name, kind)
	for _, line := range lines {
		fmt.Fprintf(&w.text, "%s%s\n", name, line)
		fmt.Fprintf(&w.open, "%s%s", name, line)
		if kind != "gauge" {
			w.open.WriteString(" # {trace_id=\"vllm:num_requests_running 5\"} 1.5")
		}
		w.open.WriteString("\n")
	}
}

func writePage(r *rand.Rand) *writer {
	w := &writer{}
	counters := []struct {
		name string
		kind string
		suff string
		to   watchdog.Counter
	}{
		{"vllm:prompt_tokens", "counter", "_total", watchdog.PromptTokens},
		{"vllm:generation_tokens", "counter", "_total", watchdog.GenerationTokens},
		{"vllm:request_success", "counter", "_total", watchdog.FinishedRequests},
		{"vllm:time_to_first_token_seconds", "histogram", "_count", watchdog.FirstTokens},
		{"vllm:iteration_tokens_total", "histogram", "_count", watchdog.EngineSteps},
		{"vllm:num_preemptions", "counter", "_total", watchdog.Preemptions},
		{"vllm:prefix_cache_queries", "counter", "_total", watchdog.PrefixQueries},
		{"vllm:brand_new", "counter", "_total", watchdog.NumCounters},
	}
	engines := make([]watchdog.Engine, 1+r.IntN(4))
	for i := range engines {
		engines[i].ID = fmt.Sprint(i)
	}
	label := func(e int, more string) string {
		l := []string{fmt.Sprintf("engine=\"%d\"", e), `model_name="a \"quoted\" \\ model"`}
		if more != "" {
			l = append(l, more)
		}
		r.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
		return "{" + strings.Join(l, ",") + "}"
	}
	r.Shuffle(len(counters), func(i, j int) { counters[i], counters[j] = counters[j], counters[i] })
	for _, c := range counters {
		if r.IntN(4) == 0 {
			continue
		}
		var lines []string
		for e := range engines {
			for part := range 1 + r.IntN(3) {
				v := float64(r.IntN(1e6))
				lines = append(lines, fmt.Sprintf("%s%s %v", c.suff, label(e, fmt.Sprintf("part=\"%d\"", part)), v))
				if c.to < watchdog.NumCounters {
					engines[e].Counters[c.to] = watchdog.Known(engines[e].Counters[c.to].Value + v)
				}
			}
		}
		w.family(c.name, c.kind, lines)
	}
	var runningLines []string
	for e := range engines {
		v := float64(r.IntN(9))
		engines[e].Running = watchdog.Known(v)
		runningLines = append(runningLines, fmt.Sprintf("%s %v", label(e, ""), v))
	}
	w.family("vllm:num_requests_running", "gauge", runningLines)
	var requests []string
	w.want.HTTPSeries, w.want.HTTPRequests = true, watchdog.Known(0.0)
	for i, method := range []string{"POST", "GET", "POST"} {
		v := float64(r.IntN(1000))
		status := []string{"2xx", "200", "5xx", "4xx", "404"}[r.IntN(5)]
		requests = append(requests, fmt.Sprintf(`_total{handler="/v1/%d",method=%q,status=%q} %v`, i, method, status, v))
		if method == "POST" && status[0] != '4' {
			w.want.HTTPRequests.Value += v
		}
	}
	w.family("http_requests", "counter", requests)
	w.want.EngineSeries, w.want.Engines = true, engines
	return w
}
