package main

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
)

// logTeller tells those lines of the log that are events of the day, and every warning that is none. Decision lines are
// left to the views, which hold back nothing.
type logTeller struct{ *narrator }

// Enabled, With, Check and Sync implement zapcore.Core.
func (logTeller) Enabled(l zapcore.Level) bool        { return l >= zapcore.InfoLevel }
func (t logTeller) With([]zapcore.Field) zapcore.Core { return t }
func (logTeller) Sync() error                         { return nil }
func (t logTeller) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if t.Enabled(e.Level) {
		return c.AddCore(e, t)
	}
	return c
}

// Write tells one line.
func (t logTeller) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	if text := t.event(e, enc.Fields); text != "" {
		t.happened(fakepod.Event{At: t.now(), Text: text})
	}
	return nil
}

func (t logTeller) event(e zapcore.Entry, f map[string]any) string {
	switch e.Message {
	case "decision":
		return ""
	case "cold start measured":
		seconds, _ := f["measured_seconds"].(float64)
		took := t.scale.pod(time.Duration(seconds * float64(time.Second)))
		return fmt.Sprintf("cold start measured: %s from the container's start to the first look that found vLLM ready", span(took))
	case "stop requested":
		asked := "is asked"
		if dry, _ := f["dry_run"].(bool); dry {
			asked = "would be asked"
		}
		return fmt.Sprintf("two final looks, a real second apart (%s here), found it quiet: %v %s to stop %v", span(t.scale.pod(time.Second)), f["target"], asked, f["pod"])
	case "stop attempt answer":
		text := fmt.Sprintf("%v %v", f["rung"], f["result"])
		if status, ok := f["status"].(int); ok {
			text += fmt.Sprintf(" (HTTP %d)", status)
		}
		if detail, _ := f["detail"].(string); detail != "" {
			text += ", " + detail
		}
		return text
	case "the last stop is proven: this is a new start of the pod":
		return "somebody wants the pod and starts it again: the watchdog finds the stop in its memory, and calls it proven"
	}
	if e.Level < zapcore.WarnLevel {
		return ""
	}
	var more []string
	for _, key := range []string{"alarm", "reason", "detail", "error"} {
		if text, ok := f[key].(string); ok && text != "" {
			more = append(more, text)
		}
	}
	return strings.TrimSuffix(e.Level.String()+": "+e.Message+": "+strings.Join(more, ": "), ": ")
}
