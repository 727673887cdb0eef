package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Row is one variable with its effective value.
type Row struct {
	// Variable is the full name.
	Variable string `json:"variable"`
	// Value is written as the variable would be; "" where nothing is known, "[secret]" for a secret that is set and for the
	// arguments of a command.
	Value   string `json:"value"`
	Origin  Origin `json:"origin"`
	Type    string `json:"type"`
	Default string `json:"default"`
	Meaning string `json:"meaning"`
}

// Table has a row for each variable, in the order of the fields. Secrets are masked.
func (c Config) Table() []Row {
	v := reflect.ValueOf(c)
	rows := make([]Row, len(fields))
	for i, f := range fields {
		rows[i] = Row{
			Variable: f.Variable,
			Value:    format(v.Field(f.index).Interface()),
			Origin:   c.origins[f.Variable],
			Type:     f.Type,
			Default:  f.Default,
			Meaning:  f.Meaning,
		}
	}
	return rows
}

// format writes a value as its variable would be set.
func format(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return formatDuration(v)
	case float64:
		return formatNumber(v)
	case watchdog.KeepHours:
		if len(v) == 0 {
			return none
		}
	case watchdog.Maybe[float64]:
		if !v.Known {
			return ""
		}
		return formatNumber(v.Value)
	}
	return fmt.Sprint(v)
}

// Hash identifies the effective settings by 8 hexadecimal digits. It does not depend on where they came from; of a
// secret it knows only whether there is one.
func (c Config) Hash() string {
	h := sha256.New()
	for _, r := range c.Table() {
		_, _ = fmt.Fprintf(h, "%s=%q\n", r.Variable, r.Value) // a hash never fails
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}
