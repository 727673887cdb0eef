package panel

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0033: "0.0033", 0.08: "0.080", 0.1: "0.10", 0.25: "0.25", 1: "1.00", 9.876: "9.88", 12.34: "12.3", 123.5: "124", 98765: "98765", 1e-12: "0",
	} {
		if got := figure(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
}

func TestBetween(t *testing.T) {
	none := watchdog.Maybe[float64]{}
	for _, c := range []struct {
		value, low, high watchdog.Maybe[float64]
		want             string
	}{
		{watchdog.Known(0.2734), watchdog.Known(0.2), watchdog.Known(0.3), "0.27 s"},
		{none, watchdog.Known(0.25), watchdog.Known(0.5), "0.25–0.50 s"},
		{none, watchdog.Known(1.0), watchdog.Known(2.5), "1.0–2.5 s"},
		{none, watchdog.Known(0.08), watchdog.Known(0.1), "0.08–0.10 s"},
		{none, watchdog.Known(0.001), watchdog.Known(0.005), "0.001–0.005 s"},
		{none, watchdog.Known(0.0), watchdog.Known(0.001), "0–0.001 s"},
		{none, watchdog.Known(0.0), watchdog.Known(100.0), "0–100 s"},
		{none, watchdog.Known(10.0), watchdog.Known(20.0), "10–20 s"},
		{none, watchdog.Known(95.0), watchdog.Known(100.0), "95–100 s"},
		{none, watchdog.Known(0.29), watchdog.Known(0.57), "0.29–0.57 s"},
		{none, watchdog.Known(0.2575), watchdog.Known(0.5025), "0.25–0.51 s"},
		{none, watchdog.Known(2560.0), none, "2560 s or more"},
		{none, watchdog.Known(7.0), watchdog.Known(7.0), "7 s"},
		{none, none, none, "unknown"},
	} {
		if got := between(c.value, c.low, c.high, "s"); got != c.want {
			t.Errorf("%v, %v to %v: %q, want %q", c.value, c.low, c.high, got, c.want)
		}
	}
}

// What lies between two bounds lies between them as they are printed.
func TestBoundsStayBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		low := math.Exp(random.NormFloat64() * 4)
		high := low * (1 + random.ExpFloat64())
		text := between(watchdog.Maybe[float64]{}, watchdog.Known(low), watchdog.Known(high), "s")
		from, to, both := strings.Cut(strings.TrimSuffix(text, " s"), "–")
		if !both {
			to = from
		}
		a, err := strconv.ParseFloat(from, 64)
		b, err2 := strconv.ParseFloat(to, 64)
		const slack = 1e-5
		if err != nil || err2 != nil || a > low*(1+slack) || b < high*(1-slack) || a < low*0.85 || b > high*1.15 {
			t.Fatalf("%v to %v is printed as %q", low, high, text)
		}
	}
}
