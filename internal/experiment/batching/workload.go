package batching

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// Prompt is one request of the workload.
type Prompt struct {
	Text string
	// OutputTokens is how many are asked for.
	OutputTokens int
}

// Generated says how prompts are made up: reviews of Groups restaurants, PerGroup of each, that a model is to judge.
type Generated struct {
	Groups, PerGroup int
	// Words and OutputTokens are means. Lengths vary evenly by the share Spread (0 to 1) to either side: equal lengths would hide
	// what a barrier costs.
	Words, OutputTokens int
	Spread              float64
	Seed                uint64
}

// Workload makes the prompts; the same settings make the same ones.
func (g Generated) Workload() []Prompt {
	random := rand.New(rand.NewPCG(g.Seed, 0))
	between := func(mean int) int {
		reach := int(g.Spread * float64(mean))
		return max(1, mean-reach+random.IntN(2*reach+1))
	}
	prompts := make([]Prompt, 0, g.Groups*g.PerGroup)
	for group := range g.Groups {
		for range g.PerGroup {
			var b strings.Builder
			fmt.Fprintf(&b, "Is this review of restaurant %d positive or negative?", group+1)
			for range between(g.Words) {
				b.WriteByte(' ')
				b.WriteString(vocabulary[random.IntN(len(vocabulary))])
			}
			prompts = append(prompts, Prompt{b.String(), between(g.OutputTokens)})
		}
	}
	return prompts
}

var vocabulary = strings.Fields(`the a food was very good bad fresh cold hot soup rice noodles staff friendly slow quick price fair high
	we waited long and then came back again table clean loud quiet place small street dinner lunch with friends family portion large tasty
	salty sweet spicy meat fish tofu kimchi broth service kind rude never always would recommend not but really quite too`)

const (
	// maxPrompts and maxPromptLine bound a file of prompts.
	maxPrompts    = 1 << 20
	maxPromptLine = 1 << 20
)

// ReadPrompts reads a prompt from each line: the line itself, or, where the file begins with {, a JSON object with "prompt" and, if
// it likes, "output_tokens", as vLLM's custom data sets have them. Empty lines are passed over; tokens is for prompts that name none.
func ReadPrompts(from io.Reader, tokens int) ([]Prompt, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxPromptLine)
	var prompts []Prompt
	asJSON := false
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if len(prompts) == 0 {
			asJSON = line[0] == '{'
		}
		p := Prompt{string(line), tokens}
		if asJSON {
			var row struct {
				Prompt       *string `json:"prompt"`
				OutputTokens *int    `json:"output_tokens"`
			}
			switch err := json.Unmarshal(line, &row); {
			case err != nil:
				return nil, fmt.Errorf("line %d is no JSON object with a prompt: %w", n, err)
			case row.Prompt == nil || *row.Prompt == "":
				return nil, fmt.Errorf(`line %d has no "prompt"`, n)
			case row.OutputTokens != nil && *row.OutputTokens < 1:
				return nil, fmt.Errorf(`line %d has "output_tokens": %d; ask for 1 or more`, n, *row.OutputTokens)
			}
			p.Text = *row.Prompt
			if row.OutputTokens != nil {
				p.OutputTokens = *row.OutputTokens
			}
		}
		if len(prompts) == maxPrompts {
			return nil, fmt.Errorf("there are more than %d prompts", maxPrompts)
		}
		prompts = append(prompts, p)
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("a prompt is longer than %d bytes", maxPromptLine)
		}
		return nil, err
	}
	if len(prompts) == 0 {
		return nil, errors.New("there is no prompt in it")
	}
	return prompts, nil
}
