package loop

import (
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// heartbeat is the longest time without a decision line.
	heartbeat = 5 * time.Minute
	// flapping is how soon a line that repeats the one before the last is held back.
	flapping = 10 * time.Second
)

// line is one decision as it is logged.
type line struct {
	id Identity
	d  watchdog.Decision
	// verdict is hold, warn, stop or would_stop.
	verdict string
}

func (l *Loop) line(d watchdog.Decision) line { return line{l.Identity, d, l.verdict(d)} }

// key is what a change of makes a new line.
type key struct {
	verdict  string
	reason   watchdog.Reason
	activity watchdog.Activity
	priced   bool
}

func (n line) key() key {
	return key{n.verdict, n.d.Reason(), n.d.Activity, n.d.Quote.PriceUSDPerHour.Known}
}

// lines writes decision lines: on a change of verdict, leading reason or activity, when a price arrives, and every five
// minutes. A line equal to the one before the last within ten seconds is held back and counted, unless it is a stop.
type lines struct {
	last, before     key
	lastAt, beforeAt time.Time
	suppressed       int
	// held is the key of a line that was held back: what is true now, although the log does not say so.
	held key
}

// write decides whether this decision is a line, and writes it.
func (ls *lines) write(log *zap.Logger, n line) {
	k, at := n.key(), n.d.At
	nothingHeld := ls.held == (key{})
	switch {
	case ls.lastAt.IsZero(), at.Sub(ls.lastAt) >= heartbeat, n.d.Final:
	case k == ls.last && nothingHeld:
		return // the log says so already
	case n.d.Verdict == watchdog.Stop:
	case k == ls.last:
		ls.held = key{} // back to what the log says
		return
	case k == ls.before && at.Sub(ls.beforeAt) < flapping:
		if k != ls.held {
			ls.suppressed++
			ls.held = k
		}
		return
	}
	n.log(log, ls.suppressed)
	ls.before, ls.beforeAt = ls.last, ls.lastAt
	ls.last, ls.lastAt = k, at
	ls.held, ls.suppressed = key{}, 0
}

// log writes the line with every number that the decision rests on; null is unknown.
func (n line) log(log *zap.Logger, suppressed int) {
	d := n.d
	codes := make([]string, 0, len(d.Reasons))
	for _, b := range d.Reasons {
		codes = append(codes, string(b.Code))
	}
	at := "tick"
	if d.Final {
		at = "final_look"
	}
	q := d.Quote
	breakEven := watchdog.Known(q.BreakEven)
	if q.NoSaving {
		breakEven = watchdog.Maybe[time.Duration]{}
	}
	level := zap.InfoLevel
	if d.Verdict != watchdog.Hold {
		level = zap.WarnLevel
	}
	detail := ""
	if len(d.Reasons) > 0 {
		detail = d.Reasons[0].Detail
	}
	log.Log(level, "decision",
		zap.String("name", n.id.Name), zap.String("start_id", n.id.StartID), zap.String("config", n.id.Config),
		zap.Uint64("tick", d.Tick), zap.String("at", at), zap.String("verdict", n.verdict),
		zap.String("reason", string(d.Reason())), zap.Strings("reasons", codes), zap.String("detail", detail),
		zap.String("activity", d.Activity.String()),
		seconds("idle_seconds", watchdog.Known(d.Idle)), seconds("threshold_seconds", d.Threshold),
		seconds("break_even_seconds", breakEven), zap.Float64("cold_start_seconds", q.ColdStart.Seconds()),
		seconds("stop_in_seconds", d.StopIn()), seconds("unknown_seconds", watchdog.Known(d.UnknownFor)),
		number("price_usd_per_hour", q.PriceUSDPerHour), number("saving_usd_per_hour", q.SavingUSDPerHour),
		dollars("idle_cost_usd", idleCost(d)), dollars("cold_start_cost_usd", q.ColdStartUSD),
		number("running", d.Running), number("waiting", d.Waiting), number("tokens_delta", d.TokensDelta),
		zap.Uint64p("connection_bytes", d.ConnectionBytes.Ptr()), peer(d.Peer),
		number("gpu_percent_max", d.GPUPercentMax), zap.Float64("gpu_threshold_percent", d.GPUThresholdPercent),
		number("cpu_cores", d.CPUCores), zap.Object("evidence", evidence(d.Evidence)),
		instant("until", d.Until), zap.String("policy", q.Policy), zap.Int("suppressed", suppressed), lastWords(d.Tail),
	)
}

// idleCost is what this gap has cost so far, by the saving of a stopped hour.
func idleCost(d watchdog.Decision) watchdog.Maybe[float64] {
	s := d.Quote.SavingUSDPerHour
	if !s.Known {
		return s
	}
	return watchdog.Known(s.Value * d.Idle.Hours())
}

func number(k string, v watchdog.Maybe[float64]) zap.Field { return zap.Float64p(k, v.Ptr()) }

func seconds(k string, v watchdog.Maybe[time.Duration]) zap.Field {
	if !v.Known {
		return zap.Float64p(k, nil)
	}
	return zap.Float64(k, v.Value.Round(time.Millisecond).Seconds())
}

// dollars are written to the millionth: what is finer is noise of floating point.
func dollars(k string, v watchdog.Maybe[float64]) zap.Field {
	v.Value = math.Round(v.Value*1e6) / 1e6
	return number(k, v)
}

// lastWords are what the server wrote last, where the decision is about its end.
func lastWords(tail []string) zap.Field {
	if len(tail) == 0 {
		return zap.Skip()
	}
	return zap.Strings("server_log", tail)
}

func instant(k string, v watchdog.Maybe[time.Time]) zap.Field { return zap.Timep(k, v.Ptr()) }

func peer(p string) zap.Field {
	if p == "" {
		return zap.Stringp("peer", nil)
	}
	return zap.String("peer", p)
}
