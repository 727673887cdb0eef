package loop

import (
	"maps"
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

// rung is what has changed: alarms that were raised just now, and those that are over.
type rung struct {
	raised, over []ringing
}

// ringing is an alarm in the words in which it was raised, and when that was.
type ringing struct {
	watchdog.Alarm
	since time.Time
}

// bells logs each alarm when it is raised, again every five minutes while it stands, and once when it is over.
type bells struct {
	// logged is when each was logged last, standing since when it stands.
	logged   map[string]time.Time
	standing map[string]ringing
}

// ring takes the alarms of one look, and returns what has changed since the one before.
func (b *bells) ring(log *zap.Logger, alarms []watchdog.Alarm, at time.Time) (news rung) {
	if b.logged == nil {
		b.logged, b.standing = map[string]time.Time{}, map[string]ringing{}
	}
	for _, a := range alarms {
		if last, ok := b.logged[a.Code]; ok && at.Sub(last) < ringAgain {
			continue
		}
		if _, ok := b.standing[a.Code]; !ok {
			b.standing[a.Code] = ringing{a, at}
			news.raised = append(news.raised, ringing{a, at})
		}
		b.logged[a.Code] = at
		log.Warn("alarm", zap.String("alarm", a.Code), zap.String("detail", a.Text))
	}
	for _, code := range slices.Sorted(maps.Keys(b.standing)) {
		rang := b.standing[code]
		if !slices.ContainsFunc(alarms, func(a watchdog.Alarm) bool { return a.Code == code }) {
			news.over = append(news.over, rang)
			delete(b.logged, code)
			delete(b.standing, code)
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
