package coldstart

import (
	"encoding/csv"
	"io"
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// CSV writes a row for each start, times in seconds. An empty cell is unknown.
func (r *Report) CSV(to io.Writer) error {
	w := csv.NewWriter(to)
	header := []string{"kind", "number", "error"}
	for _, name := range startup.Names {
		header = append(header, name+"_seconds")
	}
	header = append(header, "ready_seconds", "first_token_extra_seconds", "cold_start_seconds", "bill_usd", "cold_start_usd", "break_even_seconds",
		"files_bytes", "resident_bytes", "stop_seconds", "killed")
	rows := [][]string{header}
	for _, s := range r.Starts {
		row := []string{string(s.Kind), strconv.Itoa(s.Number), s.Error}
		for _, p := range s.Phases {
			row = append(row, exact(p.Seconds))
		}
		row = append(row, exact(s.Ready), exact(s.Extra))
		if m := s.Money; m != nil {
			row = append(row, number(m.ColdStartSeconds), exact(m.BillUSD), exact(m.ColdStartUSD), exact(m.BreakEvenSeconds))
		} else {
			row = append(row, "", "", "", "")
		}
		resident := ""
		if s.PageCache.Resident.Known {
			resident = strconv.FormatInt(s.PageCache.Resident.Value, 10)
		}
		row = append(row, strconv.FormatInt(s.PageCache.Bytes, 10), resident, number(s.StopSeconds), strconv.FormatBool(s.Killed))
		rows = append(rows, row)
	}
	return w.WriteAll(rows)
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func exact(v watchdog.Maybe[float64]) string {
	if !v.Known {
		return ""
	}
	return number(v.Value)
}
