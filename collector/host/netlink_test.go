package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const asked, question = 20, 7

// netlinkMessage is one message as the kernel writes it.
func netlinkMessage(kind, flags uint16, seq uint32, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(netlinkHeader+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 99)
	b = append(b, body...)
	return append(b, make([]byte, -len(b)&3)...)
}

func netlinkNumber(n int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

func TestNetlinkMessages(t *testing.T) {
	one, two := netlinkMessage(asked, 2, question, []byte("odd")), netlinkMessage(asked, 2, question, []byte("even"))
	done := netlinkMessage(netlinkDone, 2, question, netlinkNumber(0))
	tests := []struct {
		name  string
		piece []byte
		want  []string
		end   bool
		err   string
	}{
		{"nothing", nil, nil, false, ""},
		{"more to come", slices.Concat(one, two), []string{"odd", "even"}, false, ""},
		{"the end", slices.Concat(one, done), []string{"odd"}, true, ""},
		{"nothing behind the end counts", slices.Concat(done, two), nil, true, ""},
		{"another kind", slices.Concat(netlinkMessage(asked+1, 2, question, []byte("x")), two), []string{"even"}, false, ""},
		{"without the last padding", one[:netlinkHeader+3], []string{"odd"}, false, ""},
		{"refused", netlinkMessage(netlinkError, 0, question, netlinkNumber(-int32(syscall.ENOENT))), nil, false, syscall.ENOENT.Error()},
		{"refused at the end", netlinkMessage(netlinkDone, 2, question, netlinkNumber(-int32(syscall.ENOBUFS))), nil, true, syscall.ENOBUFS.Error()},
		{"acknowledged", netlinkMessage(netlinkError, 0, question, netlinkNumber(0)), nil, false, "acknowledgement"},
		{"lost", netlinkMessage(netlinkOverrun, 0, question, nil), nil, false, "lost"},
		{"changed in between", netlinkMessage(asked, 2|netlinkInterrupted, question, nil), nil, false, errTableChanged.Error()},
		{"an old answer", netlinkMessage(asked, 2, question-1, nil), nil, false, "question 6, expected to 7"},
		{"half a header", one[:netlinkHeader-1], nil, false, "15 bytes"},
		{"half a message", one[:netlinkHeader+2], nil, false, "19 bytes where 18 are left"},
		{"a message without a header", netlinkNumber(3), nil, false, "4 bytes"},
		{"a message shorter than a header", slices.Concat(netlinkNumber(15), make([]byte, 12)), nil, false, "15 bytes where 16"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			end, err := netlinkMessages(tt.piece, asked, question, func(b []byte) error { got = append(got, string(b)); return nil })
			if end != tt.end || !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %q, %v, %v; want %q, %v, %q", got, end, err, tt.want, tt.end, tt.err)
			}
		})
	}
	stop := errors.New("enough")
	if end, err := netlinkMessages(slices.Concat(one, done), asked, question, func([]byte) error { return stop }); end || !errors.Is(err, stop) {
		t.Errorf("asked to end: %v, %v", end, err)
	}
}

// What is yielded lies in the piece, in its order and without overlap; nothing is read past the end, and no length that a
// message claims makes it allocate more than an error's worth.
func FuzzNetlinkMessages(f *testing.F) {
	f.Add(netlinkMessage(asked, 2, question, []byte("odd")))
	f.Add(slices.Concat(netlinkMessage(asked, 2, question, make([]byte, 72)), netlinkMessage(netlinkDone, 2, question, netlinkNumber(0))))
	f.Add(netlinkMessage(netlinkError, 0, question, netlinkNumber(-1<<31)))
	f.Fuzz(func(t *testing.T, piece []byte) {
		exact := slices.Clip(slices.Clone(piece))
		rest := exact
		count := 0
		read := func() {
			rest, count = exact, 0
			end, err := netlinkMessages(exact, asked, question, func(b []byte) error {
				if count++; len(b)+netlinkHeader > len(rest) {
					t.Errorf("payload %d has %d bytes, %d were left", count, len(b), len(rest))
				}
				rest = rest[min(len(rest), netlinkHeader+len(b)):]
				return nil
			})
			if err == nil && !end && len(exact) > 0 && binary.NativeEndian.Uint32(exact[8:]) != question {
				t.Error("took an answer to another question")
			}
		}
		if n := testing.AllocsPerRun(1, read); n > 8 {
			t.Errorf("%v allocations", n)
		}
		if !bytes.Equal(exact, piece) {
			t.Error("the piece was changed")
		}
	})
}
