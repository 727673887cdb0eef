package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{`poweroff`, []string{"poweroff"}},
		{"  /usr/bin/stop  now\t-f\r\n", []string{"/usr/bin/stop", "now", "-f"}},
		{`sh -c 'poweroff || shutdown -h now'`, []string{"sh", "-c", "poweroff || shutdown -h now"}},
		{`sh -c "echo \"$POD\" \\ \n"`, []string{"sh", "-c", `echo "$POD" \ \n`}},
		{`a 'b'"c"d\ e`, []string{"a", "bcd e"}},
		{`a '' "" \'`, []string{"a", "", "", "'"}},
		{`a 'it'\''s' "it's" '"'`, []string{"a", "it's", "it's", `"`}},
		{`curl 'http://h/?a=1&b=2' -d a=b --x=y~*?#%[1]{2}!`, []string{"curl", "http://h/?a=1&b=2", "-d", "a=b", "--x=y~*?#%[1]{2}!"}},
		{`a \$HOME \| \\`, []string{"a", "$HOME", "|", `\`}},
		{`한 'é\'`, []string{"한", `é\`}},
		{"a 'two\nlines'", []string{"a", "two\nlines"}},
		{`["sh", "-c", "echo 'a' \"b\" | cat", ""]`, []string{"sh", "-c", `echo 'a' "b" | cat`, ""}},
		{" \n[\"a\"] ", []string{"a"}},
	} {
		got, err := Parse(c.text)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s is read as %q, error %v; want %q", c.text, got, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "it is empty; it has the form PROGRAM ARGUMENT…",
		" \t ":                     "it is empty; it has the form PROGRAM ARGUMENT…",
		"'' hunter2":               "its first word is empty; it must name a program",
		"a 'hunter2":               "the ' at place 3 is never closed",
		`é "hunter2\"`:             `the " at place 3 is never closed`,
		`hunter2 \`:                `it ends in a \ that stands before nothing`,
		"hunter2 && b":             `the '&' at place 9 means something to a shell, and no shell reads this: put it into quotes, or write sh -c '…'`,
		"hunter2 | b":              `the '|' at place 9 means`,
		"a; hunter2":               `the ';' at place 2 means`,
		"a > /dev/null":            `the '>' at place 3 means`,
		"a $HUNTER2":               `the '$' at place 3 means`,
		"a `hunter2`":              "the '`' at place 3 means",
		"a\nhunter2":               `the '\n' at place 2 means`,
		"a 'hunter2\x00'":          "word 2 has a NUL in it, which no program can be given",
		`[]`:                       "it is empty; it has the form PROGRAM ARGUMENT…",
		`[""]`:                     "its first word is empty; it must name a program",
		`["a", 1, "hunter2"]`:      `it begins like a JSON array and is none of strings; it has the form ["PROGRAM", "ARGUMENT"]`,
		`["a", null, "hunter2"]`:   "element 2 of its array is null; it must be a string",
		`["a"] hunter2`:            "it begins like a JSON array",
		`["a", "hunter2\u0000"]`:   "word 2 has a NUL in it, which no program can be given",
		strings.Repeat("a ", 1025): "it has 1025 words, more than 1024; write a script, and name that",
		strings.Repeat("a", 65537): "it has 65537 bytes, more than 65536; write a script, and name that",
	} {
		argv, err := Parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(strings.ToLower(err.Error()), "hunter2") || argv != nil {
			t.Errorf("%.40q is read as %.40q, error %v; want %q", text, argv, err, want)
		}
	}
}

// quoted writes words so that Parse and every shell read them alike.
func quoted(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

// doubleQuotedWords writes words in the other quotes.
func doubleQuotedWords(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w) + `"`
	}
	return strings.Join(words, "\t")
}

// escaped writes words without quotes.
func escaped(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		var b strings.Builder
		for j := range len(w) {
			b.WriteByte('\\')
			b.WriteByte(w[j])
		}
		words[i] = b.String()
	}
	return strings.Join(words, " ")
}

// Whatever the words, quoted in any way they are read as they were; whatever the text, what is read of it can be run, comes out
// of it, and is read alike when it is quoted again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"poweroff", "sh\x01-c\x01echo 'a' \"b\" \\ $x | y", "a\x01\x01'", `["a","b\u00e9"]`, "'", `"\`, "a\nb", "[", "한\x01\xff", "a 'b", "\\\n", "a \x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		words := strings.Split(strings.ReplaceAll(text, "\x00", ""), "\x01")
		if words[0] == "" {
			words[0] = "a"
		}
		if len(words) < maxWords {
			written := []string{quoted(words), doubleQuotedWords(words)}
			if !slices.Contains(words, "") {
				written = append(written, escaped(words))
			}
			if utf8.ValidString(text) {
				array, err := json.Marshal(words)
				if err != nil {
					t.Fatal(err)
				}
				written = append(written, string(array))
			}
			for _, w := range written {
				if got, err := Parse(w); err != nil || !slices.Equal(got, words) {
					t.Fatalf("%q, written %q, is read as %q, error %v", words, w, got, err)
				}
			}
		}
		argv, err := Parse(text)
		if err != nil {
			if argv != nil || len(err.Error()) > 200 {
				t.Fatalf("error %v beside %q", err, argv)
			}
			return
		}
		if argv[0] == "" || len(strings.Join(argv, "")) > 4*len(text) || strings.Contains(fmt.Sprint(argv), "\x00") {
			t.Fatalf("%q is read as %q", text, argv)
		}
		if again, err := Parse(quoted(argv)); err != nil || !slices.Equal(again, argv) {
			t.Fatalf("%q is read as %q, and quoted again as %q, error %v", text, argv, again, err)
		}
	})
}
