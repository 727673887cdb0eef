package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/proto"
)

// span is one of vLLM's, as it was sent.
type span struct {
	// key is the trace's, the span's own id, and its end.
	key, name string
	// end is in Unix nanoseconds.
	end uint64
	// requestID is gen_ai.request.id; number has the attributes that are numbers.
	requestID string
	number    map[string]float64
}

// requestSpan is the name of spans of requests; the others are phases of the server's start.
const requestSpan = "llm_request"

// spansIn reads what one connection brought. A message that is not whole is left out: it may still be coming.
func spansIn(sent []byte) ([]span, error) {
	messages, err := messagesIn(sent)
	if err != nil {
		return nil, err
	}
	var out []span
	for _, m := range messages {
		var request collectorpb.ExportTraceServiceRequest
		if err := proto.Unmarshal(m, &request); err != nil {
			return nil, fmt.Errorf("an export that was recorded: %w", err)
		}
		for _, r := range request.ResourceSpans {
			for _, scope := range r.ScopeSpans {
				for _, s := range scope.Spans {
					read := span{key: fmt.Sprintf("%x-%x-%x", s.TraceId, s.SpanId, s.EndTimeUnixNano), name: s.Name, end: s.EndTimeUnixNano, number: map[string]float64{}}
					for _, a := range s.Attributes {
						switch v := a.Value.GetValue().(type) {
						case *commonpb.AnyValue_StringValue:
							if a.Key == "gen_ai.request.id" {
								read.requestID = v.StringValue
							}
						case *commonpb.AnyValue_IntValue:
							read.number[a.Key] = float64(v.IntValue)
						case *commonpb.AnyValue_DoubleValue:
							read.number[a.Key] = v.DoubleValue
						}
					}
					out = append(out, read)
				}
			}
		}
	}
	return out, nil
}

// messagesIn are the bodies that one connection brought, of HTTP/1.1 or of gRPC.
func messagesIn(sent []byte) ([][]byte, error) {
	if after, is2 := bytes.CutPrefix(sent, []byte(http2.ClientPreface)); is2 {
		return messagesOfGRPC(after)
	}
	var out [][]byte
	in := bufio.NewReaderSize(bytes.NewReader(sent), len(sent)+1)
	for {
		if left, _ := in.Peek(len(sent)); !bytes.Contains(left, []byte("\r\n\r\n")) {
			return out, nil // no whole header
		}
		r, err := http.ReadRequest(in)
		if err != nil {
			return nil, fmt.Errorf("a request that was recorded: %w", err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return out, nil // not whole
		}
		if r.Header.Get("Content-Encoding") == "gzip" {
			if body, err = unpacked(body); err != nil {
				return nil, err
			}
		}
		out = append(out, body)
	}
}

// messagesOfGRPC reads frames of HTTP/2: a call's messages are in its frames of data, each led by a byte that says whether it is
// packed and four with its length.
func messagesOfGRPC(frames []byte) ([][]byte, error) {
	framer := http2.NewFramer(io.Discard, bytes.NewReader(frames))
	calls := map[uint32][]byte{}
	for {
		f, err := framer.ReadFrame()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("a frame that was recorded: %w", err)
		}
		if data, yes := f.(*http2.DataFrame); yes {
			calls[data.StreamID] = append(calls[data.StreamID], data.Data()...)
		}
	}
	var out [][]byte
	for _, id := range slices.Sorted(maps.Keys(calls)) {
		call := calls[id]
		if len(call) < 5 || len(call) < 5+int(binary.BigEndian.Uint32(call[1:])) {
			continue // not whole
		}
		message := call[5 : 5+binary.BigEndian.Uint32(call[1:])]
		if call[0] == 1 {
			var err error
			if message, err = unpacked(message); err != nil {
				return nil, err
			}
		}
		out = append(out, message)
	}
	return out, nil
}

func unpacked(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("a packed message that was recorded: %w", err)
	}
	return io.ReadAll(z)
}

// ofRequests are the spans of requests whose id holds a text.
func ofRequests(spans []span, text string) (out []span) {
	for _, s := range spans {
		if s.name == requestSpan && strings.Contains(s.requestID, text) {
			out = append(out, s)
		}
	}
	return out
}
