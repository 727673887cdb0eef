package report_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/report"
)

var pictures = flag.String("pictures", "", "folder for pictures of the page, to be looked at")

// found is what a look at a page finds.
type found struct {
	Texts, Small       int
	Overlaps, Outside  []string
	Wide               float64
	Colour, Background string
}

// lookOver measures every text of the page: which overlap by more than a hair, which leave the window or their box, and which
// are too small to read.
const lookOver = `(() => {
  const texts = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    if (!n.data.trim()) continue;
    const range = document.createRange();
    range.selectNodeContents(n);
    const svg = n.parentElement.ownerSVGElement;
    const rects = svg ? [n.parentElement.getBoundingClientRect()] : [...range.getClientRects()];
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const size = parseFloat(getComputedStyle(n.parentElement).fontSize) * scale;
    for (const r of rects) texts.push({ words: n.data.trim(), size, node: n, left: r.left, right: r.right, top: r.top, bottom: r.bottom, box: (svg || document.documentElement).getBoundingClientRect() });
  }
  const hair = 1.5, overlaps = [], outside = [];
  texts.forEach((a, i) => {
    if (a.left < a.box.left - hair || a.right > a.box.right + hair || a.right > innerWidth || a.left < 0) outside.push(a.words);
    for (const b of texts.slice(i + 1)) {
      if (a.node === b.node) continue;
      if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > hair && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > hair) overlaps.push(a.words + " / " + b.words);
    }
  });
  for (const e of document.querySelectorAll("*")) {
    if (e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && !e.ownerSVGElement) outside.push(e.tagName + "." + e.className + " hides " + (e.scrollWidth - e.clientWidth));
  }
  const body = getComputedStyle(document.body);
  return { texts: texts.length, small: texts.filter((t) => t.size < 10.5).length, overlaps, outside, wide: document.documentElement.scrollWidth, colour: body.color, background: body.backgroundColor };
})()`

// TestPageInABrowser opens the page of a week in a real browser, narrow and wide, light and dark.
func TestPageInABrowser(t *testing.T) {
	b := startChromium(t)
	weekly, reader := week(t)
	odd, oddReader := oddDays(t).report(between(t, "2026-03-01", "2026-03-10"))
	single := weekly
	single.Span = between(t, "2026-11-23", "2026-11-23")
	single, err := report.Build(t.Context(), reader, single.Question)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, c := range []struct{ name, text string }{
		{"week", page(t, weekly, reader)}, {"odd", page(t, odd, oddReader)}, {"day", page(t, single, reader)},
	} {
		path := filepath.Join(folder, c.name+".html")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int{800, 1400} {
			b.open(path, width)
			colours := map[string]bool{}
			for _, scheme := range []string{"light", "dark"} {
				name := fmt.Sprintf("%s-%d-%s", c.name, width, scheme)
				b.prefer(scheme)
				var f found
				b.evaluate(lookOver, &f)
				if f.Texts < 100 || f.Wide > float64(width) || f.Small > 0 || len(f.Overlaps) > 0 || len(f.Outside) > 0 {
					t.Errorf("%s: %d texts on %v pixels, %d too small; overlapping: %q; outside: %q", name, f.Texts, f.Wide, f.Small, f.Overlaps, f.Outside)
				}
				colours[f.Colour+" on "+f.Background] = true
				if *pictures != "" {
					b.picture(filepath.Join(*pictures, name+".png"), width)
				}
			}
			if len(colours) != 2 {
				t.Errorf("light and dark are both %v", colours)
			}
		}
	}
	if len(b.complaints) > 0 {
		t.Errorf("the browser complains: %q", b.complaints)
	}
}

// The look at a page must see what is wrong with a bad one.
func TestTheLookFindsFaults(t *testing.T) {
	b := startChromium(t)
	path := filepath.Join(t.TempDir(), "bad.html")
	bad := `<!doctype html><body style="margin:0"><svg viewBox="0 0 100 100" width="400"><text x="10" y="50">one</text><text x="12" y="52">two</text><text x="95" y="90">outside</text></svg>
<p style="width:1000px">wide</p><p style="font-size:5px">tiny</p><script>document.title = "ran"</script><img src="http://127.0.0.1:1/none.png">`
	if err := os.WriteFile(path, []byte(bad), 0o644); err != nil {
		t.Fatal(err)
	}
	b.open(path, 800)
	var f found
	b.evaluate(lookOver, &f)
	if len(f.Overlaps) != 1 || len(f.Outside) < 1 || f.Small != 1 || f.Wide != 1000 || len(b.complaints) == 0 {
		t.Errorf("found %+v, complaints %q", f, b.complaints)
	}
}
