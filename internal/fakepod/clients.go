package fakepod

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// clients are the people and programs that use the server, over real connections.
type clients struct {
	url string

	mu     sync.Mutex
	hangUp map[int]context.CancelFunc
	next   int
	group  sync.WaitGroup
}

// visit is one client's stay.
type visit struct {
	// until is when it sends its last request.
	until time.Time
	// tokens bounds its answers, from a third of it up; think is the longest pause between two of them.
	tokens int
	think  time.Duration
}

// come lets n clients work side by side, in goroutines that wait ends for.
func (c *clients) come(ctx context.Context, n int, v visit) {
	for range n {
		ctx, cancel := context.WithCancel(ctx)
		c.mu.Lock()
		id := c.next
		c.next++
		if c.hangUp == nil {
			c.hangUp = map[int]context.CancelFunc{}
		}
		c.hangUp[id] = cancel
		c.mu.Unlock()
		c.group.Go(func() {
			defer c.leave(id)
			c.work(ctx, v, rand.New(rand.NewPCG(uint64(id), 7)))
		})
	}
}

// work sends one request after the other. A request that fails ends the stay: the server is gone, or we hung up.
func (c *clients) work(ctx context.Context, v visit, dice *rand.Rand) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for time.Now().Before(v.until) && ctx.Err() == nil {
		if err := c.ask(ctx, client, v.tokens/3+dice.IntN(v.tokens*2/3+1), 40+dice.IntN(400)); err != nil {
			return
		}
		timer := time.NewTimer(time.Duration(dice.Int64N(int64(v.think) + 1)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// ask sends one streaming request and reads its answer to the end.
func (c *clients) ask(ctx context.Context, client *http.Client, tokens, promptWords int) error {
	body, err := json.Marshal(completion{Prompt: strings.Repeat("word ", promptWords), MaxTokens: max(1, tokens), Stream: true})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	return nil
}

// burst sends n requests of one token, all at once, by one client.
func (c *clients) burst(ctx context.Context, n int) {
	transport := &http.Transport{}
	client := &http.Client{Transport: transport}
	c.group.Go(func() {
		defer transport.CloseIdleConnections()
		var all sync.WaitGroup
		for range n {
			all.Go(func() { _ = c.ask(ctx, client, 1, 20) }) // one that is refused is no less of a burst
		}
		all.Wait()
	})
}

func (c *clients) leave(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUp[id]()
	delete(c.hangUp, id)
}

// hangUpAll lets every client close its connection in the middle of its answer.
func (c *clients) hangUpAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cancel := range c.hangUp {
		cancel()
	}
}

func (c *clients) wait() { c.group.Wait() }
