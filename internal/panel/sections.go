package panel

import (
	"fmt"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func (p *sheet) money(s status.Status) {
	m := s.Money
	p.head("money")
	from := ""
	if m.PriceSource.Known {
		from = "(price from the " + text(m.PriceSource) + ")"
	}
	p.row("an idle hour", words.Plain, write(m.PriceUSDPerHour, words.USD), from)
	cold := ""
	if m.ColdStart.Known && m.PriceUSDPerHour.Known {
		cold = words.USD(m.ColdStart.Value/3600*m.PriceUSDPerHour.Value) + " of pod time, "
	}
	if m.ColdStart.Known {
		switch n := m.ColdStartSamples; {
		case n.Or(0) == 0:
			cold += "assumed: none measured yet"
		case n.Value == 1:
			cold += "measured once"
		default:
			cold += fmt.Sprintf("measured %d times", n.Value)
		}
		cold = "(" + cold + ")"
	}
	p.row("a cold start", words.Plain, write(m.ColdStart, span), cold)
	p.row("break-even", words.Plain, write(s.BreakEven, span), "")
	capped := ""
	if most := s.Caps.MaxSpendPerDay; most.Known {
		capped = " of at most " + words.USD(most.Value)
	}
	if m.SpentToday.Known {
		p.row("today", words.Plain, words.USD(m.SpentToday.Value)+capped, "(idle: "+write(m.IdleToday, words.USD)+")")
	} else {
		p.row("today", words.Plain, unknown+capped, "")
	}
	if most := s.Caps.MaxRuntime; most.Known {
		p.row("this start", words.Plain, write(s.Caps.RunFor, span)+" of at most "+span(most.Value), "")
	}
}

func (p *sheet) target(s status.Status) {
	t := s.Target
	p.head("target")
	detail := ""
	if t.Detail.Known {
		detail = "(" + clean(t.Detail.Value) + ")"
	}
	switch {
	case !t.Kind.Known && !s.Armed.Known:
		p.row("stops", words.Dim, unknown, "")
	case !t.Kind.Known:
		p.row("stops", words.Red, "nothing", detail)
	default:
		p.row("stops", words.Plain, text(t.Kind)+" "+text(t.ID), "(action "+text(t.Action)+")")
		p.row("permission", permissionTones[t.Permission.Value], text(t.Permission), detail)
	}
	p.row("policy", words.Plain, text(s.Policy), "")
	p.row("started by", words.Plain, write(s.Wake, starter), "")
	p.row("memory", words.Plain, write(s.Persistent, func(kept bool) string {
		if kept {
			return "survives a stop"
		}
		return "is lost with a stop"
	}), "")
}

var permissionTones = map[string]words.Tone{"proven": words.Green, "unproven": words.Yellow, "refused": words.Red}

// starter says who starts the pod again.
func starter(wake string) string {
	switch wake {
	case "manual":
		return "a person (wake manual)"
	case "auto":
		return "the next request (wake auto)"
	}
	return clean(wake)
}

var stateTones = map[string]words.Tone{"ok": words.Green, "absent": words.Dim, "failed": words.Red, "dropped": words.Red}

func (p *sheet) evidence(s status.Status) {
	p.head("evidence")
	source := func(name, state string, parts ...string) {
		var rest []string
		for _, part := range parts {
			if part != "" {
				rest = append(rest, part)
			}
		}
		lead := clean(state)
		if len(rest) > 0 {
			lead += ":"
		}
		p.row(name, stateTones[state], lead, strings.Join(rest, ", "))
	}
	for _, v := range s.Sources.VLLM {
		source("vllm", v.State, clean(v.URL), some(v.Version), answered(v, s.Now))
	}
	for _, g := range s.Sources.GPU {
		most, floor := "", ""
		if g.PercentMax.Known {
			most = "at most " + percent(g.PercentMax.Value)
		}
		if g.FloorPercent.Known {
			floor = "noise floor " + percent(g.FloorPercent.Value)
		}
		which := ""
		if len(s.Sources.GPU) > 1 || !g.Name.Known {
			which = some(g.UUID)
		}
		source("gpu", g.State, some(g.Name), which, most, floor)
	}
	if len(s.Sources.GPU) == 0 {
		source("gpu", unknown)
	}
	k := s.Sources.Sockets
	last := ""
	if k.LastBytes.Known {
		last = "bytes " + span(k.LastBytes.Value) + " ago with " + text(k.LastPeer)
	}
	source("sockets", k.State.Or(unknown), ports(k.Ports), last)
	h := s.Sources.Host
	cores, terminals := "", ""
	if h.CPUCores.Known {
		cores = fmt.Sprintf("%.2f cores", h.CPUCores.Value)
	}
	if h.Terminals.Known {
		terminals = fmt.Sprintf("%d terminals", h.Terminals.Value)
		if h.Terminals.Value == 1 {
			terminals = "1 terminal"
		}
	}
	source("host", h.State.Or(unknown), cores, terminals)
}

func answered(v status.Server, now time.Time) string {
	switch {
	case v.LastSuccess.Known:
		return "answered " + since(v.LastSuccess.Value, now) + " ago"
	case v.State == "ok":
		return ""
	}
	return "no answer yet"
}

// some is empty where the value is unknown.
func some(m watchdog.Maybe[string]) string {
	if !m.Known {
		return ""
	}
	return clean(m.Value)
}

func ports(list []uint16) string {
	if len(list) == 0 {
		return "no ports"
	}
	words := make([]string, 0, len(list))
	for _, port := range list {
		words = append(words, fmt.Sprint(port))
	}
	if len(list) == 1 {
		return "port " + words[0]
	}
	return "ports " + strings.Join(words, ", ")
}

func (p *sheet) lastStop(s status.Status) {
	l := s.LastStop
	if l == nil {
		return
	}
	p.head("last stop")
	p.row("asked", words.Plain, write(l.RequestedAt, func(t time.Time) string {
		return clock(t, s.Now) + ", " + since(t, s.Now) + " ago"
	}), "")
	detail := text(l.Target)
	if l.Detail.Known {
		detail += ": " + clean(l.Detail.Value)
	}
	p.row("result", resultTones[l.Result.Value], text(l.Result), "("+detail+")")
	if l.Proof.Known {
		p.row("proof", proofTones[l.Proof.Value], text(l.Proof), "")
	}
	if l.Grade.Known {
		p.row("grade", words.Plain, text(l.Grade), "")
	}
}

var (
	resultTones = map[string]words.Tone{"accepted": words.Green, "refused": words.Red, "overtaken": words.Yellow, "would_stop": words.Yellow}
	proofTones  = map[string]words.Tone{"proven": words.Green, "awaited": words.Yellow, "unproven": words.Red}
)
