package loop

import (
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// ringAgain is how often an alarm that stands is logged again.
const ringAgain = 5 * time.Minute

// alarmMemory is the alarm of a memory that cannot be written or read.
const alarmMemory = "memory"

// alarms are the decision's, and that of the memory, which the core does not know.
func (l *Loop) alarms(d watchdog.Decision) []watchdog.Alarm {
	if text := l.Memory.Warning(); text != "" {
		return append(slices.Clone(d.Alarms), watchdog.Alarm{Code: alarmMemory, Text: text})
	}
	return d.Alarms
}

// rung is what rang new: alarms that were raised just now, and those that are over, each with the instant at which it was raised.
type rung struct {
	raised, over []ringing
}

type ringing struct {
	watchdog.Alarm
	since time.Time
}

// bells logs each alarm when it is raised, again every five minutes while it stands, and once when it is over.
type bells struct {
	rung  map[string]time.Time
	since map[string]time.Time
}

func (b *bells) ring(log *zap.Logger, alarms []watchdog.Alarm, at time.Time) (news rung) {
	if b.rung == nil {
		b.rung, b.since = map[string]time.Time{}, map[string]time.Time{}
	}
	standing := make([]string, 0, len(alarms))
	for _, a := range alarms {
		standing = append(standing, a.Code)
		if last, ok := b.rung[a.Code]; ok && at.Sub(last) < ringAgain {
			continue
		}
		if _, ok := b.since[a.Code]; !ok {
			b.since[a.Code] = at
			news.raised = append(news.raised, ringing{a, at})
		}
		b.rung[a.Code] = at
		log.Warn("alarm", zap.String("alarm", a.Code), zap.String("detail", a.Text))
	}
	for code := range b.rung {
		if !slices.Contains(standing, code) {
			news.over = append(news.over, ringing{watchdog.Alarm{Code: code}, b.since[code]})
			delete(b.rung, code)
			delete(b.since, code)
			log.Info("alarm over", zap.String("alarm", code))
		}
	}
	return news
}

// evidence writes the four words of the decision line.
type evidence watchdog.Evidence

// MarshalLogObject implements zapcore.ObjectMarshaler.
func (e evidence) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("vllm", e.VLLM)
	enc.AddString("gpu", e.GPU)
	enc.AddString("sockets", e.Sockets)
	enc.AddString("host", e.Host)
	return nil
}
