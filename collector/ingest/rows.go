package ingest

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"
)

// maxHeld is how much memory posted rows may take that are not yet durable, in bytes, over all requests: some 20,000 rows.
const maxHeld = 8 << 20

// postRows takes rows that an application posts: all of them, or none.
func (s *Server) postRows(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	in, done, err := body(w, r, s.config.MaxBody)
	if err != nil {
		return err
	}
	defer done()
	held := &held{all: &s.held}
	defer held.release()
	batch, err := decodeRows(in, s.config.Now(), held.hold)
	if err != nil {
		return err
	}
	if len(batch.Requests)+len(batch.Labels) > 0 {
		if err := s.put(ctx, batch); err != nil {
			return err
		}
	}
	answer(w, http.StatusOK, jsonType, mustJSON(map[string]int{"accepted": len(batch.Requests) + len(batch.Labels)}))
	return nil
}

// held is the memory that one request's rows take.
type held struct {
	all  *atomic.Int64
	mine int64
}

// hold takes more, or says why there is none.
func (h *held) hold(bytes int) error {
	h.mine += int64(bytes)
	switch all := h.all.Add(int64(bytes)); {
	case h.mine > maxHeld:
		return refused(http.StatusRequestEntityTooLarge, "the rows take more than %d MB of memory: post them in parts", maxHeld>>20)
	case all > maxHeld:
		return busy(time.Second, "other rows are being taken in: post these again")
	}
	return nil
}

func (h *held) release() {
	h.all.Add(-h.mine)
	h.mine = 0
}
