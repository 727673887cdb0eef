package webhook

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/post"
	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// setting is the variable that people have to look at.
const setting = "WATCHDOG_STOP_URL"

// kind is the target's and the rung's word in logs.
const kind = "webhook"

// maxDetail bounds the detail of the reason, in bytes.
const maxDetail = 8 << 10

// Config is what a Hook needs; New checks it.
type Config struct {
	// URL is where the request goes. It is a secret: who has it may be able to stop the pod.
	URL secret.Secret
	// Key signs the request; not set, it is not signed.
	Key secret.Secret
	// Action is what is asked for: stop, terminate or terminate-and-lose-data. Empty means stop.
	Action string
	// Name is the pod's name for people, StartID that of its present start, Pod the provider's id. Empty is unknown.
	Name, StartID, Pod string
	// Decision is asked at each stop for the decision that led to it; nil means that nobody knows.
	Decision func() watchdog.Decision
	// UserAgent names us; empty means gpu-watchdog.
	UserAgent string
	// Timeout bounds the request with its answer; 0 means 10 s.
	Timeout time.Duration
	// Transport carries the request; nil means one of our own.
	Transport http.RoundTripper
}

// Hook is the rung. Make it with New.
type Hook struct {
	client             *post.Client
	action             string
	name, startID, pod string
	decision           func() watchdog.Decision
}

// New checks the URL. It reaches nothing.
func New(c Config) (*Hook, error) {
	address, err := post.ParseAddress(setting, c.URL)
	if err != nil {
		return nil, err
	}
	h := &Hook{
		client: post.NewClient(post.Config{Address: address, Key: c.Key, UserAgent: c.UserAgent, Timeout: c.Timeout, Transport: c.Transport}),
		action: c.Action, name: c.Name, startID: c.StartID, pod: c.Pod, decision: c.Decision,
	}
	if h.action == "" {
		h.action = "stop"
	}
	return h, nil
}

// Name is the rung's word in logs.
func (*Hook) Name() string { return kind }

// Target names who is asked, for the ladder; its id is the host.
func (h *Hook) Target() stopper.Target {
	return stopper.Target{Kind: kind, ID: h.client.Address().Host(), Action: h.action}
}

// Reach connects to the host and sends nothing (see post.Client).
func (h *Hook) Reach(ctx context.Context) error {
	if err := h.client.Reach(ctx); err != nil {
		return fmt.Errorf("reach %s: %w", h.client.Address().Host(), err)
	}
	return nil
}

// Stop asks once.
func (h *Hook) Stop(ctx context.Context) stopper.Answer {
	body, err := json.Marshal(h.request(time.Now()))
	if err != nil {
		return stopper.Answer{Kind: stopper.Failed, Detail: h.client.Address().Clean("encode request: " + err.Error())}
	}
	answer, err := h.client.Send(ctx, body)
	if err != nil {
		return stopper.Answer{Kind: stopper.Failed, Detail: err.Error()}
	}
	return h.sort(answer, time.Now())
}

// request is the body.
type request struct {
	Schema           int       `json:"schema"`
	ID               string    `json:"id"`
	Action           string    `json:"action"`
	Name             string    `json:"name"`
	StartID          string    `json:"start_id"`
	Pod              string    `json:"pod"`
	Reason           string    `json:"reason"`
	Detail           string    `json:"detail"`
	IdleSeconds      *float64  `json:"idle_seconds"`
	ThresholdSeconds *float64  `json:"threshold_seconds"`
	BreakEvenSeconds *float64  `json:"break_even_seconds"`
	PriceUSDPerHour  *float64  `json:"price_usd_per_hour"`
	RequestedAt      time.Time `json:"requested_at"`
	SentAt           time.Time `json:"sent_at"`
}

func (h *Hook) request(now time.Time) request {
	r := request{
		Schema: 1, ID: rand.Text(), Action: h.action, Name: h.name, StartID: h.startID, Pod: h.pod,
		RequestedAt: now.UTC(), SentAt: now.UTC(),
	}
	if h.decision == nil {
		return r
	}
	d := h.decision()
	idle := d.Idle.Seconds()
	r.IdleSeconds = &idle
	if len(d.Reasons) > 0 {
		detail := d.Reasons[0].Detail
		r.Reason, r.Detail = string(d.Reasons[0].Code), strings.ToValidUTF8(detail[:min(len(detail), maxDetail)], "")
	}
	if !d.At.IsZero() {
		r.RequestedAt = d.At.UTC()
	}
	if d.Threshold.Known {
		threshold := d.Threshold.Value.Seconds()
		r.ThresholdSeconds = &threshold
	}
	if even := d.Quote.BreakEven.Seconds(); even > 0 && !d.Quote.NoSaving {
		r.BreakEvenSeconds = &even
	}
	if d.Quote.PriceUSDPerHour.Known {
		r.PriceUSDPerHour = &d.Quote.PriceUSDPerHour.Value
	}
	return r
}
