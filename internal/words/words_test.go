package words

import (
	"slices"
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Hour: "0s", 499 * time.Millisecond: "0s", 59500 * time.Millisecond: "1m", 61 * time.Second: "1m 1s",
		2*time.Hour + 5*time.Minute + 59*time.Second: "2h 5m", 24 * time.Hour: "1d", 25*time.Hour + time.Second: "1d 1h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
}

func TestUSD(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00 $", 1.5: "1.50 $", 0.1: "0.10 $", 0.0333: "0.033 $", 0.0996: "0.10 $", 0.00042: "0.00042 $", -0.02: "-0.02 $", 12345.678: "12345.68 $"} {
		if got := USD(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"", 10, []string{""}}, {"one two three", 7, []string{"one two", "three"}}, {"  ünë \n zwei ", 8, []string{"ünë zwei"}},
		{"see https://example.com/long now", 10, []string{"see", "https://example.com/long", "now"}}, {"a b", 0, []string{"a", "b"}},
	} {
		if got := Wrap(c.text, c.width); !slices.Equal(got, c.want) {
			t.Errorf("%q in %d is %q, want %q", c.text, c.width, got, c.want)
		}
	}
}

func TestPaintAndPad(t *testing.T) {
	for got, want := range map[string]string{
		Paint(true, Red, "no"): "\x1b[31mno\x1b[0m", Paint(false, Red, "plain"): "plain", Paint(true, Plain, "x"): "x", Paint(true, Red, ""): "",
		Pad("ü", 3) + "|": "ü  |", Pad("long", 2) + "|": "long|",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
