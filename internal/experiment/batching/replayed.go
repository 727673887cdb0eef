package batching

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Table writes the comparison for people.
func (r *Replayed) Table(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "KEY\tIN THE FILE\tFROM ITS RECORDS\tDIFFERENCE")
	for _, c := range r.Compared {
		difference := missing
		if c.File.Known && c.Here.Known {
			difference = strconv.FormatFloat(c.Here.Value-c.File.Value, 'e', 1, 64)
			if c.Here.Value == c.File.Value {
				difference = "0"
			}
		}
		if !c.Agrees {
			difference += "  DIFFERS"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Key, number(c.File), number(c.Here), difference)
	}
	w.Flush()
	fmt.Fprintln(out)
	differ := r.Differ()
	fmt.Fprintf(out, "%d of %d keys agree within 1e-6.\n", len(r.Compared)-len(differ), len(r.Compared))
	if len(r.Passed) > 0 {
		fmt.Fprintf(out, "Not from the records: %s.\n", strings.Join(r.Passed, ", "))
	}
}

func number(v watchdog.Maybe[float64]) string {
	if !v.Known {
		return missing
	}
	return strconv.FormatFloat(v.Value, 'f', -1, 64)
}

// JSON writes the figures and the comparison.
func (r *Replayed) JSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Figures  Figures    `json:"figures"`
		Compared []Compared `json:"compared"`
		Differ   []string   `json:"differ"`
		Passed   []string   `json:"not_from_the_records"`
	}{r.Figures, r.Compared, append([]string{}, r.Differ()...), append([]string{}, r.Passed...)})
}

// CSV writes a line for each key.
func (r *Replayed) CSV(out io.Writer) error {
	records := [][]string{{"key", "file", "here", "agrees"}}
	cell := func(v watchdog.Maybe[float64]) string {
		if !v.Known {
			return ""
		}
		return number(v)
	}
	for _, c := range r.Compared {
		records = append(records, []string{c.Key, cell(c.File), cell(c.Here), strconv.FormatBool(c.Agrees)})
	}
	return csv.NewWriter(out).WriteAll(records)
}
