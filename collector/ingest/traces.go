package ingest

import (
	"context"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// exportCall takes an export of spans over gRPC.
func (s *Server) exportCall(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	in, last, done, err := unary(r, s.config.MaxBody)
	if err != nil {
		return err
	}
	defer done()
	m, err := s.takeSpans(ctx, func(m *message) error {
		if err := decodeProto(in, m); err != nil {
			return err
		}
		return last()
	})
	if err != nil {
		return err
	}
	answerGRPC(w, codeOK, "", partialSuccess(m))
	return nil
}

// exportPost takes an export of spans over HTTP.
func (s *Server) exportPost(ctx context.Context, w http.ResponseWriter, r *http.Request, in dialect) error {
	decode := decodeProto
	if in == otlpJSON {
		decode = decodeJSON
	}
	from, done, err := body(w, r, s.config.MaxBody)
	if err != nil {
		return err
	}
	defer done()
	m, err := s.takeSpans(ctx, func(m *message) error { return decode(from, m) })
	if err != nil {
		return err
	}
	if in == otlpJSON {
		answer(w, http.StatusOK, jsonType, partialSuccessJSON(m))
	} else {
		answer(w, http.StatusOK, protoType, partialSuccess(m))
	}
	return nil
}

// takeSpans reads a message and makes its rows durable.
func (s *Server) takeSpans(ctx context.Context, decode func(*message) error) (*message, error) {
	m := &message{now: s.config.Now(), put: func(b Batch) error { return s.put(ctx, b) }}
	err := decode(m)
	if err == nil {
		err = m.flush()
	}
	s.counts.rejected.Add(m.rejected)
	s.counts.passed.Add(m.passed)
	if err != nil {
		return nil, err
	}
	s.counts.aborted.Add(m.aborted)
	if m.rejected > 0 {
		s.complain("spans that cannot be read were left out", m.warning())
	}
	return m, nil
}

// partialSuccess encodes an ExportTraceServiceResponse, which says what was left out.
func partialSuccess(m *message) []byte {
	const fieldPartialSuccess, fieldRejected, fieldErrorMessage = 1, 1, 2
	if m.rejected == 0 {
		return nil
	}
	part := protowire.AppendTag(nil, fieldRejected, protowire.VarintType)
	part = protowire.AppendVarint(part, m.rejected)
	part = protowire.AppendTag(part, fieldErrorMessage, protowire.BytesType)
	part = protowire.AppendString(part, m.warning())
	return protowire.AppendBytes(protowire.AppendTag(nil, fieldPartialSuccess, protowire.BytesType), part)
}

func partialSuccessJSON(m *message) []byte {
	if m.rejected == 0 {
		return []byte("{}\n")
	}
	return mustJSON(map[string]any{"partialSuccess": map[string]string{
		"rejectedSpans": strconv.FormatUint(m.rejected, 10), "errorMessage": m.warning(),
	}})
}
