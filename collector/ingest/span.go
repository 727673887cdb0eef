package ingest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// requestSpan is the name of the spans that are requests.
	requestSpan = "llm_request"
	// maxID and maxName bound the texts of a row, in bytes.
	maxID, maxName = 256, 128
	// maxTokens and longest are more than any request can have.
	maxTokens = 1e9
	longest   = 30 * 24 * time.Hour
)

// attribute is one of the attributes of a span, or of its resource, that are read.
type attribute int8

const (
	attrRequestID attribute = iota
	attrModel
	attrQueue
	attrPrefill
	attrDecode
	attrTTFT
	attrTotal
	attrPromptTokens
	attrOutputTokens
	// attrNamespace is on every loading span but one, which has attrDynamo.
	attrNamespace
	attrDynamo
	// attrProcess is an attribute of the resource.
	attrProcess
	numAttributes
	notRead attribute = -1
)

var attributeNames = [numAttributes]string{
	attrRequestID:    "gen_ai.request.id",
	attrModel:        "gen_ai.response.model",
	attrQueue:        "gen_ai.latency.time_in_queue",
	attrPrefill:      "gen_ai.latency.time_in_model_prefill",
	attrDecode:       "gen_ai.latency.time_in_model_decode",
	attrTTFT:         "gen_ai.latency.time_to_first_token",
	attrTotal:        "gen_ai.latency.e2e",
	attrPromptTokens: "gen_ai.usage.prompt_tokens",
	attrOutputTokens: "gen_ai.usage.completion_tokens",
	attrNamespace:    "code.namespace",
	attrDynamo:       "dynamo.time_seconds",
	attrProcess:      "vllm.process_kind",
}

// attributeOf finds an attribute by its name.
func attributeOf(name []byte) attribute {
	for i := range attributeNames {
		if string(name) == attributeNames[i] {
			return attribute(i)
		}
	}
	return notRead
}

// A value is one attribute's value.
type value struct {
	kind    valueKind
	integer int64
	double  float64
	text    []byte
}

type valueKind uint8

const (
	absent valueKind = iota
	isText
	isInteger
	isDouble
	isOther
)

// A span is what is read of a span, in either encoding. Its bytes belong to the decoder.
type span struct {
	traceID, spanID, parentID, name []byte
	start, end                      uint64
	values                          [numAttributes]value
}

// isPhase says that this is a span of a server's start.
func (s *span) isPhase() bool {
	return bytes.HasPrefix(s.values[attrNamespace].text, []byte("vllm.")) || s.values[attrDynamo].kind != absent
}

var errNoKey = errors.New("its trace id or its span id is not one")

// keyOf writes both ids as one key, with what follows them.
func keyOf(traceID, spanID []byte, more ...byte) (string, error) {
	if len(traceID) != 16 || len(spanID) != 8 || allZero(traceID) || allZero(spanID) {
		return "", errNoKey
	}
	var room [80]byte
	key := hex.AppendEncode(room[:0], traceID)
	key = append(key, '-')
	key = hex.AppendEncode(key, spanID)
	return string(append(key, more...)), nil
}

func allZero(id []byte) bool {
	for _, b := range id {
		if b != 0 {
			return false
		}
	}
	return true
}

// request makes a row of a span that is a request.
//
// The row of a request that the server itself aborted before its first token has no latencies: vLLM subtracts stamps then
// that were never taken, and tells the host's uptime as prefill. So does a row whose latencies cannot be: they are
// differences of a wall clock, which may have been set in between.
func (s *span) request(now time.Time) (Request, error) {
	r := Request{Source: FromSpan}
	var err error
	end := [20]byte{'-'}
	if r.Key, err = keyOf(s.traceID, s.spanID, strconv.AppendUint(end[:1], s.end, 16)...); err != nil {
		return r, err
	}
	if r.FinishedAt, err = moment(s.end, now); err != nil {
		return r, err
	}
	if r.ID, err = s.text(attrRequestID, maxID); err != nil {
		return r, err
	}
	if r.Model, err = s.text(attrModel, maxID); err != nil {
		return r, err
	}
	r.Response = responseID(r.ID)
	if r.PromptTokens, err = s.count(attrPromptTokens); err != nil {
		return r, err
	}
	if r.OutputTokens, err = s.count(attrOutputTokens); err != nil {
		return r, err
	}
	parts := []*watchdog.Maybe[float64]{&r.Queue, &r.Prefill, &r.Decode, &r.TTFT, &r.Total}
	for i, a := range []attribute{attrQueue, attrPrefill, attrDecode, attrTTFT, attrTotal} {
		if *parts[i], err = s.seconds(a); err != nil {
			return r, err
		}
	}
	r.Aborted = r.OutputTokens.Known && r.OutputTokens.Value == 0 ||
		r.Prefill.Known && r.Total.Known && r.Total.Value >= 0 && r.Prefill.Value > r.Total.Value
	if r.Aborted || !possible(r) {
		for _, part := range parts {
			*part = watchdog.Maybe[float64]{}
		}
	}
	derive(&r)
	return r, nil
}

// possible says that no latency is negative, and that no part is far longer than the whole.
func possible(r Request) bool {
	most := longest.Seconds()
	if r.Total.Known {
		if r.Total.Value < 0 || r.Total.Value > most {
			return false
		}
		most = 1.1*r.Total.Value + 0.01 // the whole is told by another clock than its parts
	}
	for _, part := range []watchdog.Maybe[float64]{r.Queue, r.Prefill, r.Decode, r.TTFT} {
		if part.Known && (part.Value < 0 || part.Value > most) {
			return false
		}
	}
	return true
}

// derive computes TPOT = decode ÷ (tokens − 1) for more than one token, and TPS = tokens ÷ total.
func derive(r *Request) {
	n := r.OutputTokens
	if n.Known && n.Value > 1 && r.Decode.Known {
		r.TPOT = watchdog.Known(r.Decode.Value / float64(n.Value-1))
	}
	if n.Known && r.Total.Known {
		if tps := float64(n.Value) / r.Total.Value; !math.IsNaN(tps) && tps <= maxTokens {
			r.TPS = watchdog.Known(tps)
		}
	}
}

// phase makes a phase of a loading span, except for what its resource and its parent tell.
func (s *span) phase(now time.Time) (Phase, error) {
	var p Phase
	var err error
	if p.Key, err = keyOf(s.traceID, s.spanID); err != nil {
		return p, err
	}
	if len(s.parentID) > 0 {
		if p.ParentKey, err = keyOf(s.traceID, s.parentID); err != nil {
			return p, errors.New("the id of its parent is not one")
		}
	}
	p.TraceID = p.Key[:32]
	if len(s.name) == 0 || len(s.name) > maxName || !utf8.Valid(s.name) {
		return p, fmt.Errorf("a name of %d bytes is none of a phase", len(s.name))
	}
	p.Name = string(s.name)
	end, err := moment(s.end, now)
	if err != nil {
		return p, err
	}
	if p.Began, err = moment(s.start, now); err != nil || end.Before(p.Began) || end.Sub(p.Began) > longest {
		return p, errors.New("its start is no time before its end")
	}
	p.Seconds = end.Sub(p.Began).Seconds()
	return p, nil
}

// moment reads a time in Unix nanoseconds. Neither the first years of a computer without a clock nor the future is one.
func moment(nanoseconds uint64, now time.Time) (time.Time, error) {
	if nanoseconds == 0 || nanoseconds > math.MaxInt64 {
		return time.Time{}, errors.New("it has no time of its end")
	}
	t := time.Unix(0, int64(nanoseconds)).UTC()
	return t, plausible(t, now)
}

func plausible(t, now time.Time) error {
	if t.Year() < 2000 || t.After(now.Add(24*time.Hour)) {
		return fmt.Errorf("its end, %s, lies before 2000 or in the future", t.Format(time.RFC3339))
	}
	return nil
}

// text reads an attribute that is a text; a longer one is cut.
func (s *span) text(a attribute, most int) (string, error) {
	v := s.values[a]
	switch {
	case v.kind == absent:
		return "", nil
	case v.kind != isText || !utf8.Valid(v.text):
		return "", fmt.Errorf("%s is no text", attributeNames[a])
	case len(v.text) <= most:
		return string(v.text), nil
	}
	return strings.ToValidUTF8(string(v.text[:most]), ""), nil
}

func (s *span) count(a attribute) (watchdog.Maybe[int64], error) {
	v := s.values[a]
	switch {
	case v.kind == absent:
		return watchdog.Maybe[int64]{}, nil
	case v.kind != isInteger || v.integer < 0 || v.integer > maxTokens:
		return watchdog.Maybe[int64]{}, fmt.Errorf("%s is no number of tokens", attributeNames[a])
	}
	return watchdog.Known(v.integer), nil
}

func (s *span) seconds(a attribute) (watchdog.Maybe[float64], error) {
	v := s.values[a]
	seconds := v.double
	switch {
	case v.kind == absent:
		return watchdog.Maybe[float64]{}, nil
	case v.kind == isInteger:
		seconds = float64(v.integer)
	case v.kind != isDouble || math.IsNaN(v.double) || math.IsInf(v.double, 0):
		return watchdog.Maybe[float64]{}, fmt.Errorf("%s is no finite number of seconds", attributeNames[a])
	}
	return watchdog.Known(seconds), nil
}

// responseID takes from a request's id what vLLM puts around that of the response: the number of the sequence before it,
// "1_", where n > 1 (up to 0.12), and the number of the prompt behind it, "-0", for completions.
func responseID(id string) string {
	if number, rest, ok := strings.Cut(id, "_"); ok && digits(number) && (strings.HasPrefix(rest, "cmpl-") || strings.HasPrefix(rest, "chatcmpl-")) {
		id = rest
	}
	if strings.HasPrefix(id, "cmpl-") {
		if i := strings.LastIndexByte(id, '-'); i > len("cmpl-") && digits(id[i+1:]) {
			id = id[:i]
		}
	}
	return id
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
