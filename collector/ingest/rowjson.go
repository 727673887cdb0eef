package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// maxLabels bounds the labels of one row; maxLabelName and maxLabelText their texts, in bytes.
	maxLabels, maxLabelName, maxLabelText = 16, 64, 256
	// rowCost and labelCost are about what a row, and a label of it, take in memory beside their texts, in bytes.
	rowCost, labelCost = 400, 96
)

// A rowError is what is wrong with a posted row.
type rowError struct {
	// Row counts from 0.
	Row   int
	Field string
	text  string
}

func (e *rowError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("row %d %s", e.Row, e.text)
	}
	return fmt.Sprintf("row %d: %s %s", e.Row, e.Field, e.text)
}

// postedField is one field of a posted row.
type postedField uint16

const (
	postedID postedField = 1 << iota
	postedModel
	postedFinished
	postedQueue
	postedPrefill
	postedDecode
	postedTotal
	postedTTFT
	postedPrompt
	postedTokens
	postedTPOT
	postedTPS
	postedLabels
)

var postedFields = map[string]postedField{
	"request_id": postedID, "model": postedModel, "finished_at": postedFinished,
	"queue_time_ms": postedQueue, "prefill_time_ms": postedPrefill, "decode_time_ms": postedDecode, "total_time_ms": postedTotal,
	"ttft_ms": postedTTFT, "prompt_tokens": postedPrompt, "n_tokens": postedTokens, "tpot_ms": postedTPOT, "tps": postedTPS,
	"labels": postedLabels,
}

// requiredFields are those of every row that is more than labels; each may be null.
var requiredFields = []string{"prefill_time_ms", "decode_time_ms", "total_time_ms", "n_tokens"}

// rowsIn reads posted rows.
type rowsIn struct {
	*jsonIn
	now time.Time
	// hold asks for so many bytes of memory; its error ends the reading.
	hold func(bytes int) error

	batch Batch
	row   int
}

// decodeRows reads a body of posted rows to its end. One row that is wrong spoils them all: whoever posted it mends it and
// posts all of them again. Errors are *rowError or *typeError where the JSON is good.
func decodeRows(r io.Reader, now time.Time, hold func(bytes int) error) (Batch, error) {
	in := &rowsIn{jsonIn: newJSONIn(r), now: now, hold: hold}
	there := false
	err := in.object("the body", func(key string) error {
		if key != "requests" {
			return &typeError{fmt.Sprintf("the body has the key %q, which is not known: it holds {\"requests\": [...]}", clip(key))}
		}
		there = true
		return in.array("requests", func() error {
			err := in.one()
			in.row++
			return err
		})
	})
	switch {
	case err != nil:
		return Batch{}, err
	case !there:
		return Batch{}, &typeError{"the body has no key \"requests\""}
	}
	return in.batch, in.end()
}

func (in *rowsIn) wrong(field, format string, a ...any) error {
	return &rowError{Row: in.row, Field: field, text: fmt.Sprintf(format, a...)}
}

// one reads one row.
func (in *rowsIn) one() error {
	err := in.value(func(v node) error {
		if !v.isObject() {
			return in.wrong("", "is %s, where an object belongs", v.describe())
		}
		r := Request{Source: FromPost, FinishedAt: in.now}
		var seen postedField
		err := v.members(func(key []byte, v node) error {
			field, known := postedFields[string(key)]
			if !known {
				return in.wrong(clip(string(key)), "is no field of a row; a value of your own belongs into labels")
			}
			seen |= field
			return in.field(&r, field, string(key), v)
		})
		if err != nil {
			return err
		}
		return in.keep(r, seen)
	})
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		hint := ""
		if what := syntax.Error(); strings.Contains(what, "'N'") || strings.Contains(what, "'I'") {
			hint = " (NaN and Infinity are not in JSON: write null)"
		}
		return in.wrong(fieldBefore(in.Buffered()), "is no JSON near byte %d: %s%s", syntax.Offset, syntax, hint)
	}
	return err
}

// fieldBefore finds the field of a row in which its JSON breaks, empty where it is none.
func fieldBefore(row io.Reader) (field string) {
	d := json.NewDecoder(row)
	depth := 0
	for isKey := false; ; isKey = depth == 1 && !isKey {
		token, err := d.Token()
		if err != nil {
			return field
		}
		switch {
		case token == json.Delim('{') || token == json.Delim('['):
			depth++
			isKey = depth > 1
		case token == json.Delim('}') || token == json.Delim(']'):
			depth--
			isKey = depth > 1
		case isKey && depth == 1:
			field, _ = token.(string)
			field = clip(field)
		}
	}
}

// keep checks the row as a whole and adds what follows from it.
func (in *rowsIn) keep(r Request, seen postedField) error {
	if r.ID == "" {
		return in.wrong("request_id", "is missing")
	}
	onlyLabels := seen&^(postedID|postedLabels) == 0
	if onlyLabels && len(r.Labels) == 0 {
		return in.wrong("prefill_time_ms", "is missing, and so are the other measures; a row without measures has labels")
	}
	for _, name := range requiredFields {
		if !onlyLabels && seen&postedFields[name] == 0 {
			return in.wrong(name, "is missing; write null where it is not known")
		}
	}
	cost := rowCost + len(r.ID) + len(r.Model)
	for name, text := range r.Labels {
		cost += labelCost + len(name) + len(text)
	}
	if err := in.hold(cost); err != nil {
		return err
	}
	if onlyLabels {
		in.batch.Labels = append(in.batch.Labels, Labels{ID: r.ID, Labels: r.Labels})
		return nil
	}
	r.Key, r.Response = r.ID, r.ID
	told := r
	derive(&r)
	if told.TPOT.Known {
		r.TPOT = told.TPOT
	}
	if told.TPS.Known {
		r.TPS = told.TPS
	}
	in.batch.Requests = append(in.batch.Requests, r)
	return nil
}

// field reads one field. null is unknown.
func (in *rowsIn) field(r *Request, field postedField, name string, v node) (err error) {
	if v.isNull() && field != postedID {
		return nil
	}
	switch field {
	case postedID:
		r.ID, err = in.text(name, v, maxID)
		if err == nil && r.ID == "" {
			err = in.wrong(name, "is empty")
		}
	case postedModel:
		r.Model, err = in.text(name, v, maxID)
	case postedFinished:
		r.FinishedAt, err = in.time(name, v)
	case postedPrompt:
		r.PromptTokens, err = in.tokens(name, v)
	case postedTokens:
		r.OutputTokens, err = in.tokens(name, v)
	case postedTPS:
		r.TPS, err = in.number(name, v, maxTokens, "tokens/s")
	case postedQueue:
		r.Queue, err = in.milliseconds(name, v)
	case postedPrefill:
		r.Prefill, err = in.milliseconds(name, v)
	case postedDecode:
		r.Decode, err = in.milliseconds(name, v)
	case postedTotal:
		r.Total, err = in.milliseconds(name, v)
	case postedTTFT:
		r.TTFT, err = in.milliseconds(name, v)
	case postedTPOT:
		r.TPOT, err = in.milliseconds(name, v)
	case postedLabels:
		r.Labels, err = in.labels(v)
	}
	return err
}

// labels reads the labels: texts, or numbers, which are kept as they were written.
func (in *rowsIn) labels(v node) (map[string]string, error) {
	if !v.isObject() {
		return nil, in.wrong("labels", "is %s, where an object belongs", v.describe())
	}
	labels := map[string]string{}
	err := v.members(func(key []byte, v node) error {
		if len(key) == 0 || len(key) > maxLabelName {
			return in.wrong("labels", "have a name of %d bytes, where 1 to %d belong", len(key), maxLabelName)
		}
		text := []byte(v)
		switch {
		case v.isText():
			text = v.text()
		case !v.isNumber():
			return in.wrong("labels."+string(key), "is %s, where a text or a number belongs", v.describe())
		}
		if len(text) > maxLabelText {
			return in.wrong("labels."+string(key), "is %d bytes long, more than %d", len(text), maxLabelText)
		}
		labels[string(key)] = string(text)
		if len(labels) > maxLabels {
			return in.wrong("labels", "are more than %d", maxLabels)
		}
		return nil
	})
	return labels, err
}

func (in *rowsIn) text(name string, v node, most int) (string, error) {
	if !v.isText() {
		return "", in.wrong(name, "is %s, where a text belongs", v.describe())
	}
	text := v.text()
	if len(text) > most {
		return "", in.wrong(name, "is %d bytes long, more than %d", len(text), most)
	}
	return string(text), nil
}

func (in *rowsIn) time(name string, v node) (time.Time, error) {
	if v.isText() {
		if t, err := time.Parse(time.RFC3339, string(v.text())); err == nil {
			if plausible(t, in.now) != nil {
				return t, in.wrong(name, "is %s, which lies before 2000 or in the future", t.Format(time.RFC3339))
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, in.wrong(name, "is %s, where a time like 2026-01-31T12:00:00Z belongs", v.describe())
}

func (in *rowsIn) milliseconds(name string, v node) (watchdog.Maybe[float64], error) {
	ms, err := in.number(name, v, float64(longest.Milliseconds()), "ms, which are 30 days (a point in time is no duration)")
	ms.Value /= 1000
	return ms, err
}

// tokens reads a whole number; Python writes some as 12.0.
func (in *rowsIn) tokens(name string, v node) (watchdog.Maybe[int64], error) {
	n, err := in.number(name, v, maxTokens, "tokens")
	if err != nil {
		return watchdog.Maybe[int64]{}, err
	}
	if n.Value != math.Trunc(n.Value) {
		return watchdog.Maybe[int64]{}, in.wrong(name, "is %s, no whole number of tokens", v.describe())
	}
	return watchdog.Known(int64(n.Value)), nil
}

// number reads a number from 0 to most.
func (in *rowsIn) number(name string, v node, most float64, unit string) (watchdog.Maybe[float64], error) {
	if !v.isNumber() {
		return watchdog.Maybe[float64]{}, in.wrong(name, "is %s, where a number belongs", v.describe())
	}
	number, err := strconv.ParseFloat(string(v), 64)
	switch {
	case number < 0:
		return watchdog.Maybe[float64]{}, in.wrong(name, "is %s, less than 0", clip(string(v)))
	case err != nil || number > most:
		return watchdog.Maybe[float64]{}, in.wrong(name, "is %s, more than %.0f %s", clip(string(v)), most, unit)
	}
	return watchdog.Known(math.Abs(number)), nil // -0 is 0
}
