package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"unicode"
)

// What an error of a request wraps.
var (
	// ErrUnreachable: no connection could be made.
	ErrUnreachable = errors.New("not reachable")
	// ErrLate: the request's deadline came first.
	ErrLate = errors.New("took too long")
	// ErrCut: the stream broke off, without its [DONE].
	ErrCut = errors.New("the stream broke off")
	// ErrAborted: the server ended the request before it was done.
	ErrAborted = errors.New("the server aborted the request")
	// ErrEmpty: the stream ended well and brought no token.
	ErrEmpty = errors.New("the stream brought no token")
	// ErrNoUsage: the server did not tell how many tokens it sent, and chunks are no tokens.
	ErrNoUsage = errors.New("the server told no usage, so its tokens cannot be counted (stream_options.include_usage)")
	// ErrTooMuch: more came than was asked for, or than a stream ever has.
	ErrTooMuch = errors.New("more came than a completion can be")
)

// StatusError is an answer other than 200, or an error inside of a stream.
type StatusError struct {
	// Status is the HTTP status, or the code that the stream's error names; 0 where it names none.
	Status int
	// Message is the server's own, shortened.
	Message string
}

func (e *StatusError) Error() string {
	text := "the server says: " + e.Message
	if e.Message == "" {
		text = "the server gives no reason"
	}
	if e.Status != 0 {
		text = fmt.Sprintf("status %d: %s", e.Status, text)
	}
	return text
}

// failure puts a failure of the connection into words without an address.
func (c *Client) failure(ctx context.Context, path string, err error) error {
	err = bare(err)
	var network *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s %w", path, ErrLate)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", path, ctx.Err())
	case errors.As(err, &network) && network.Op == "dial":
		return fmt.Errorf("%s is %w: %w", c.shown, ErrUnreachable, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: %w", path, ErrCut)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// refusal is the error of an answer other than 200.
func refusal(path string, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, answerLimit)) // half a reason is better than none
	e := inWords(body)
	e.Status = resp.StatusCode
	return fmt.Errorf("%s: %w", path, e)
}

// longest is the most of a server's message that is repeated, in runes.
const longest = 200

// inWords finds the message in the forms that errors have: {"error": {"message", "code"}}, {"message", "code"}, {"detail"}.
func inWords(body []byte) *StatusError {
	type told struct {
		Message string `json:"message"`
		Code    any    `json:"code"`
	}
	var answer struct {
		Error json.RawMessage `json:"error"`
		told
		Detail any `json:"detail"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return &StatusError{Message: short(string(body))}
	}
	e := answer.told
	var text string
	if json.Unmarshal(answer.Error, &text) == nil {
		e.Message = text
	} else {
		_ = json.Unmarshal(answer.Error, &e) // what is in another form stays as it was
	}
	if detail, ok := answer.Detail.(string); ok && e.Message == "" {
		e.Message = detail
	}
	code, _ := e.Code.(float64)
	if !(code >= 0 && code < 1000) {
		code = 0
	}
	return &StatusError{Status: int(code), Message: short(e.Message)}
}

// short makes one line of printable text, at most longest runes of it.
func short(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return text
}
