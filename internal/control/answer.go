package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
)

const (
	// orderWithin bounds how long an order may take, stopWithin a stop, which looks twice and asks a provider.
	orderWithin = 15 * time.Second
	stopWithin  = 2 * time.Minute
)

// route is one thing that can be asked for.
type route struct {
	method string
	within time.Duration
	// may are the fields that the body may have.
	may []string
	do  func(ctx context.Context, to Orders, by string, r request) (orders.Answer, error)
}

var routes = map[string]route{
	pathHolds: {http.MethodGet, orderWithin, nil, func(ctx context.Context, to Orders, _ string, _ request) (orders.Answer, error) {
		return to.Standing(ctx)
	}},
	pathHold: {http.MethodPost, orderWithin, []string{fieldFor, fieldWhy}, func(ctx context.Context, to Orders, by string, r request) (orders.Answer, error) {
		return to.Hold(ctx, orders.Hold{For: r.For, By: by, Why: r.Why})
	}},
	pathRelease: {http.MethodPost, orderWithin, []string{fieldOwn}, func(ctx context.Context, to Orders, by string, r request) (orders.Answer, error) {
		return to.Release(ctx, orders.Release{By: by, Own: r.Own})
	}},
	pathPostpone: {http.MethodPost, orderWithin, []string{fieldFor}, func(ctx context.Context, to Orders, by string, r request) (orders.Answer, error) {
		return to.Postpone(ctx, orders.Postpone{For: r.For, By: by})
	}},
	pathStop: {http.MethodPost, stopWithin, []string{fieldRehearse}, func(ctx context.Context, to Orders, by string, r request) (orders.Answer, error) {
		return to.Stop(ctx, orders.Stop{By: by, Rehearse: r.Rehearse})
	}},
}

// answer answers one request.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(versionHeader, version)
	asker := askerOf(r.Context())
	if err := asker.mayAsk(s.uid); err != nil {
		s.log.Debug("a stranger was turned away", zap.Stringer("asker", asker), zap.Error(err))
		write(w, http.StatusForbidden, notDone{orders.Denied, err.Error()})
		return
	}
	route, ok := routes[r.URL.Path]
	switch {
	case !ok:
		write(w, http.StatusNotFound, notDone{orders.Wrong, fmt.Sprintf("there is nothing at %q: there are GET /holds, and POST /hold, /release, /postpone and /stop", shown(r.URL.Path))})
		return
	case r.Method != route.method:
		w.Header().Set("Allow", route.method)
		write(w, http.StatusMethodNotAllowed, notDone{orders.Wrong, fmt.Sprintf("%s takes %s only", r.URL.Path, route.method)})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	var tooMuch *http.MaxBytesError
	switch {
	case errors.As(err, &tooMuch):
		write(w, http.StatusRequestEntityTooLarge, notDone{orders.Wrong, fmt.Sprintf("the order is longer than %d bytes", mostBody)})
		return
	case err != nil:
		write(w, http.StatusBadRequest, notDone{orders.Wrong, "the order did not come whole"})
		return
	}
	asked, err := decode(body, route.may)
	if err != nil {
		write(w, http.StatusBadRequest, notDone{orders.Wrong, err.Error()})
		return
	}
	s.carryOut(w, r, route, asked, asker.name("/"))
}

// carryOut hands an order on and tells the asker what came of it.
func (s *Server) carryOut(w http.ResponseWriter, r *http.Request, route route, asked request, by string) {
	ctx, cancel := context.WithTimeout(r.Context(), route.within)
	defer cancel()
	answer, err := s.try(ctx, route, by, asked)
	facts := []zap.Field{
		zap.String("order", r.URL.Path[1:]), zap.String("by", by), zap.String("why", asked.Why),
		zap.Float64("for_seconds", asked.For.Seconds()), zap.Bool("own", asked.Own), zap.Bool("rehearse", asked.Rehearse),
	}
	if err == nil {
		answer = answer.Plain()
		if r.Method != http.MethodGet {
			s.log.Info("order carried out", append(facts, zap.String("answer", answer.Text))...)
		}
		write(w, http.StatusOK, answer)
		return
	}
	text := orders.CleanLines(err.Error())
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		text = fmt.Sprintf("not done within %s, and it is not known what will come of it; see gpu-watchdog status (%s)", route.within, text)
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		text = "the watchdog ends, or the asker is gone; it is not known whether the order was carried out (" + text + ")"
	}
	kind := orders.KindOf(err)
	s.log.Warn("order not carried out", append(facts, zap.String("kind", string(kind)), zap.String("detail", text))...)
	write(w, statusOf(kind), notDone{kind, text})
}

// try hands an order on. A mistake of ours that panics is told, and ends neither the watch nor the socket.
func (s *Server) try(ctx context.Context, route route, by string, asked request) (answer orders.Answer, err error) {
	defer func() {
		if what := recover(); what != nil {
			s.log.Error("an order panicked", zap.String("panic", fmt.Sprint(what)), zap.Stack("stack"))
			err = fmt.Errorf("a mistake of this program, which its log tells more of: %v", what)
		}
	}()
	return route.do(ctx, s.config.Orders, by, asked)
}

// statusOf is what HTTP calls a kind of error.
func statusOf(kind orders.Kind) int {
	switch kind {
	case orders.Wrong:
		return http.StatusBadRequest
	case orders.Denied:
		return http.StatusConflict
	case orders.Failed, orders.Unreachable:
	}
	return http.StatusInternalServerError
}

// write sends a whole answer. An error of the connection is the asker's own business.
func write(w http.ResponseWriter, code int, document any) {
	var body bytes.Buffer
	out := json.NewEncoder(&body)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(document); err != nil {
		code = http.StatusInternalServerError
		body.Reset()
		fmt.Fprintf(&body, "{\"kind\": %q, \"error\": \"the answer cannot be written as JSON\"}\n", orders.Failed)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes())
}
