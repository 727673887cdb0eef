package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
)

func TestWhatStaysUpInSpiteOfMistakes(t *testing.T) {
	pod := host.PodEnv{KubernetesServiceHost: host.EnvValue{Value: "10.0.0.1"}}
	wrong := wrongUse{errors.New("1 mistake")}
	for _, c := range []struct {
		env  host.PodEnv
		err  error
		want bool
	}{
		{pod, wrong, true},
		{pod, fmt.Errorf("wiring: %w", wrong), true},
		{pod, errors.New("the machine is broken"), false},
		{host.PodEnv{}, wrong, false},
	} {
		if got := staysUp(c.env, c.err); got != c.want {
			t.Errorf("%+v, %v: stays up: %v", c.env.KubernetesServiceHost, c.err, got)
		}
	}
}

func TestWhereThePagesAreDespiteMistakes(t *testing.T) {
	for set, want := range map[string]string{
		"": "127.0.0.1:9877", ":9877": ":9877", "127.0.0.1:4317": "127.0.0.1:4317", "[::1]:80": "[::1]:80",
		"9877": ":9877", "http://127.0.0.1:9877": ":9877", "127.0.0.1:99999": ":9877", "nowhere": ":9877",
	} {
		if got := listenDespite(set); got != want {
			t.Errorf("WATCHDOG_LISTEN=%q: %q, want %q", set, got, want)
		}
	}
}

func TestMistakesAreSaidEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		u := &unarmed{mistakes: []string{"one", "two"}, log: zap.New(core)}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute+time.Second)
		defer cancel()
		u.complain(ctx)
		said := logs.FilterMessage("configuration refused").All()
		if len(said) != 4 {
			t.Fatalf("said %d times in three minutes, want at once and each minute", len(said))
		}
		for _, line := range said {
			if line.Level != zapcore.ErrorLevel || fmt.Sprint(line.ContextMap()["mistakes"]) != "[one two]" {
				t.Errorf("%s: %v", line.Level, line.ContextMap())
			}
		}
	})
}
