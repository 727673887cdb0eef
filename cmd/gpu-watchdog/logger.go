package main

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

// newLogger writes one line an event: JSON for programs, or columns for people. Whoever ends calls its Sync.
func newLogger(cfg config.Config, out zapcore.WriteSyncer) *zap.Logger {
	enc := zapcore.EncoderConfig{
		TimeKey: "ts", LevelKey: "level", MessageKey: "msg",
		EncodeTime: zapcore.RFC3339NanoTimeEncoder, EncodeLevel: zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.SecondsDurationEncoder, LineEnding: zapcore.DefaultLineEnding,
	}
	encoder := zapcore.NewJSONEncoder(enc)
	if cfg.LogFormat == config.LogConsole {
		enc.EncodeTime = func(t time.Time, e zapcore.PrimitiveArrayEncoder) { e.AppendString(t.Format("15:04:05")) }
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	level := zapcore.InfoLevel
	switch cfg.LogLevel {
	case config.LogDebug:
		level = zapcore.DebugLevel
	case config.LogWarn:
		level = zapcore.WarnLevel
	case config.LogError:
		level = zapcore.ErrorLevel
	case config.LogInfo:
	}
	return zap.New(zapcore.NewCore(encoder, out, level))
}
