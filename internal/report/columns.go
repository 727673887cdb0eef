package report

import "time"

// column is one figure of a table.
type column struct {
	head string
	cell func(f *Figures) string
}

// block is a part of the table that fits a terminal of 80 columns.
type block struct {
	title   string
	columns []column
}

// blocks are the table. The first one is the table of the project's first document, section 5.4.
var blocks = []block{
	{"Requests and the SLA", []column{
		{"Total Requests", func(f *Figures) string { return write(f.Requests, count) }},
		{"SLA Met", func(f *Figures) string { return write(f.Met, count) }},
		{"Total Tokens", func(f *Figures) string { return write(f.Tokens, count) }},
		{"Goodput TPS", func(f *Figures) string { return write(f.GoodputTPS, rate) }},
		{"SLA Compliance", func(f *Figures) string { return write(f.Compliance, percent) }},
	}},
	{"Speed", []column{
		{"TPS", func(f *Figures) string { return write(f.ThroughputTPS, rate) }},
		{"Goodput RPS", func(f *Figures) string { return write(f.GoodputRPS, rate) }},
		{"SLA %", func(f *Figures) string { return write(f.SLAPercent, percent) }},
		{"TTFT P50", func(f *Figures) string { return write(f.TTFT.P50, seconds) }},
		{"TTFT P95", func(f *Figures) string { return write(f.TTFT.P95, seconds) }},
		{"TPOT P50", func(f *Figures) string { return write(f.TPOT.P50, seconds) }},
	}},
	{"Time and money", []column{
		{"Watched", func(f *Figures) string { return span(f.Watched) }},
		{"Idle", func(f *Figures) string { return write(f.IdlePercent(), percent) }},
		{"Spent", func(f *Figures) string { return write(f.SpentUSD, usd) }},
		{"Idle USD", func(f *Figures) string { return write(f.IdleUSD, usd) }},
		{"USD/M Tokens", func(f *Figures) string { return write(f.USDPerMillion, usd) }},
		{"Source", func(f *Figures) string { return f.Source.Or(none) }},
	}},
}

// lineHead begins a line: the day, marked where it is not over, or that it is all of them.
func lineHead(f *Figures) string {
	switch {
	case f.Date.IsZero():
		return "Total"
	case f.Open:
		return f.Date.Format(time.DateOnly) + "*"
	}
	return f.Date.Format(time.DateOnly)
}

// lines are the days and then all of them together.
func (r *Report) lines() []*Figures {
	var out []*Figures
	for i := range r.Days {
		out = append(out, &r.Days[i])
	}
	return append(out, &r.Total)
}
