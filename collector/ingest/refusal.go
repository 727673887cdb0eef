package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// A refusal is why a message was not taken.
type refusal struct {
	// status is HTTP's; gRPC's follows from it.
	status int
	text   string
	// retry is when to come again, 0 for never.
	retry time.Duration
	row   *rowError
}

func (r *refusal) Error() string { return r.text }

func refused(status int, format string, a ...any) *refusal {
	return &refusal{status: status, text: fmt.Sprintf(format, a...)}
}

// busy asks the client to come again.
func busy(after time.Duration, format string, a ...any) *refusal {
	r := refused(http.StatusServiceUnavailable, format, a...)
	r.retry = after
	return r
}

// refusalOf makes a refusal of anything that can go wrong while a message is read.
func refusalOf(err error) *refusal {
	var r *refusal
	var row *rowError
	var wrong *typeError
	var syntax *json.SyntaxError
	var network net.Error
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &row):
		r = refused(http.StatusBadRequest, "%s", row)
		r.row = row
		return r
	case errors.As(err, &syntax):
		return refused(http.StatusBadRequest, "the body is no JSON near byte %d: %s", syntax.Offset, syntax)
	case errors.As(err, &wrong), errors.Is(err, errMalformed), errors.Is(err, errGzip):
		return refused(http.StatusBadRequest, "%s", err)
	case errors.As(err, &long):
		return refusalOf(tooLarge(long.Limit))
	case errors.Is(err, errLongValue):
		return refused(http.StatusRequestEntityTooLarge, "%s", err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return refused(http.StatusRequestTimeout, "the body did not come in time")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refused(http.StatusBadRequest, "the body ends in the middle")
	}
	return refused(http.StatusBadRequest, "the body cannot be read: %s", err)
}

// A dialect is how answers are written.
type dialect uint8

const (
	plainText dialect = iota
	rowsJSON
	otlpJSON
	otlpProto
	grpc
)

// refuse answers with a refusal in the client's own dialect.
func refuse(w http.ResponseWriter, in dialect, r *refusal) {
	if in == grpc {
		answerGRPC(w, grpcCode(r.status), r.text, nil)
		return
	}
	if r.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(r.retry.Seconds()))))
	}
	switch in {
	case rowsJSON:
		out := struct {
			Error string `json:"error"`
			Row   *int   `json:"row,omitempty"`
			Field string `json:"field,omitempty"`
		}{Error: r.text}
		if r.row != nil {
			out.Row, out.Field = &r.row.Row, r.row.Field
		}
		answer(w, r.status, jsonType, mustJSON(out))
	case otlpJSON: // google.rpc.Status, as OTLP asks for
		answer(w, r.status, jsonType, mustJSON(map[string]string{"message": r.text}))
	case otlpProto:
		const fieldMessage = 2
		answer(w, r.status, protoType, protowire.AppendString(protowire.AppendTag(nil, fieldMessage, protowire.BytesType), r.text))
	default:
		answer(w, r.status, "text/plain; charset=utf-8", []byte(r.text+"\n"))
	}
}

// mustJSON encodes what cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("ingest: encode an answer: %v", err))
	}
	return append(b, '\n')
}

// answer writes a whole body. An error of the connection is the client's own business.
func answer(w http.ResponseWriter, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
