package watchdog

import (
	"strings"
	"testing"
	"time"
)

func TestProbesThatAreOver(t *testing.T) {
	runProbeRows(t, []probeRow{
		{name: "a request no larger than a probe does not count", limit: 16, steps: `ask=7/1 -> probes detail; idle -> quiet; ask=16/16 -> probes`},
		{name: "without PROBE_MAX_TOKENS every request counts", steps: `ask=7/1 -> work; ask=1/1 -> work`},
		{name: "a longer prompt counts", limit: 16, steps: `ask=17/1 -> work; idle -> quiet`},
		{name: "a longer answer counts", limit: 16, steps: `ask=7/17 -> work; idle -> quiet`},
		{name: "a user's small request counts where PROBE_MAX_TOKENS does not cover it", limit: 8, steps: `ask=7/1 -> probes; ask=12/5 -> work; ask=7/1 -> probes`},
		{name: "several probes in one look are judged by what they have together, less one token for each other one", limit: 16,
			steps: `ask=2x8/8 -> probes; ask=2x9/1 -> work; ask=3x1/6 -> probes; ask=3x1/7 -> work`},
		{name: "a larger request does not hide among small ones", limit: 16, steps: `ask=17/1 ask=5x1/1 -> work; ask=16/1 ask=5x1/1 -> probes; ask=1/17 ask=5x1/1 -> work`},
		{name: "an engine that does not count its tokens has no probes", limit: 16, steps: `let nostats; idle x2 -> quiet; http -> work`},
		{name: "tokens without a request that ended are work", limit: 16, steps: `steps -> work; prefix -> work; idle -> quiet`},
		{name: "an answer whose request is not among those that ended is work: a client that left", limit: 16, steps: `http -> work; ask=7/1 http -> work; ask=7/1 -> probes`},
		{name: "an answer may end one look after its request", limit: 16, steps: `unanswered=7/1 -> probes; http -> probes; http -> work; unanswered=7/1; idle; http -> work`},
		{name: "the answer of a larger request that ends later counts", limit: 16, steps: `unanswered=70/1 -> work; http -> work`},
		{name: "after a reset nothing is excused, and then it is again", limit: 16, steps: `ask=7/1 -> probes; zeroed -> quiet; ask=7/1 -> probes`},
		{name: "the end of a request that was in flight at the first reading of a server is work, however little it adds", limit: 16,
			steps: `ask=7/1 -> probes; zeroed running=1 -> work; running=1 go=0/4 -> work; end=0/4 -> work; ask=7/1 -> probes`},
		{name: "looks that spare the page are made up for", limit: 16, steps: `ask=7/1 skipped x2; ask=2/1 -> probes; ask=7/1 skipped x2; ask=7/1 -> work`},
		{name: "rows of requests whose size nobody tells count", limit: 16, steps: `ask=7/1 rows=1 -> work`},
		{name: "probes on one server leave another's work alone", limit: 16, servers: 2, steps: `ask=7/1 -> probes; ask=7/1 b:tokens b:finished -> work; b:tokens b:finished -> work; ask=7/1 -> probes`},
	})
}

func TestProbesInFlight(t *testing.T) {
	runProbeRows(t, []probeRow{
		{name: "a request in flight that is small so far is neither work nor quiet", limit: 16, steps: `begin=7/3 running=1 -> pending; end=0/5 -> probes; idle -> quiet`},
		{name: "a request that outgrows a probe counts from there on, to its end", limit: 16,
			steps: `begin=7/3 running=1 -> pending; go=0/9 running=1 -> pending; go=0/9 running=1 -> work; end=0/1 -> work; ask=7/1 -> probes`},
		{name: "without PROBE_MAX_TOKENS a request in flight is work", steps: `running=1 -> work; begin=7/3 running=1 -> work; end=0/5 -> work`},
		{name: "one that shows nothing passes for a probe for ten seconds", limit: 16, steps: `running=1 x3 -> pending; running=1 x5 -> work; ask=7/1 -> probes; running=1 -> pending`},
		{name: "waiting and /load are in flight too", limit: 16, steps: `waiting=1 -> pending; ask=7/1; load=1 -> pending; ask=7/1 -> probes`},
		{name: "one that vanishes without a trace was work", limit: 16, steps: `running=1 -> pending; idle -> work late; idle -> quiet`},
		{name: "an answer whose request did not end is work at once, also beside a probe in flight", limit: 16, steps: `running=1 http -> work; ask=7/1 -> work; ask=7/1 -> probes`},
		{name: "one whose client leaves was work", limit: 16, steps: `begin=7/3 running=1 -> pending; http -> work; idle -> quiet`},
		{name: "one that never ends was work, if only nobody counts answers", limit: 16,
			steps: `let nohttp; idle; begin=7/3 running=1 -> pending; idle x2 -> pending; idle -> work late; idle -> quiet; ask=7/1 -> probes`},
		{name: "a first token without an end is in flight although the gauges are late", limit: 16, steps: `begin=7/1 -> pending; end=0/9 -> probes; begin=7/1 -> pending; end=0/19 -> work`},
		{name: "a gauge beside a tracked /load of 0 is late", limit: 16, steps: `load=1 running=1 -> pending; load=0 running=1 ask=7/1 -> probes`},
		{name: "a probe beside a request in flight waits for it", limit: 16, steps: `ask=7/1 running=1 -> pending; ask=7/9 -> probes; ask=7/1 running=1 -> pending; ask=12/9 -> work`},
		{name: "probes do not make a long request look short", limit: 16, steps: `begin=9/1 running=1 -> pending; ask=7/1 go=0/9 running=1 -> pending; ask=7/1 go=0/9 running=1 -> work; end=0/1 -> work`},
		{name: "a server that dies with a probe in flight", limit: 16, steps: `running=1 -> pending; dead; idle -> quiet`},
		{name: "a page that does not come leaves the account open", limit: 16, steps: `begin=7/3 running=1 -> pending; timeout x2; go=0/14 running=1 -> work`},
	})
}

func TestProbesBesideOtherEvidence(t *testing.T) {
	runProbeRows(t, []probeRow{
		{name: "the GPU's burst is excused with its probe", limit: 16, steps: `ask=7/1 burst=60 -> probes gpu:quiet detail; idle -> quiet`},
		{name: "the GPU's burst counts without PROBE_MAX_TOKENS", steps: `ask=7/1 burst=60 -> work gpu:work`},
		{name: "a burst without a probe counts", limit: 16, steps: `burst=60 -> work gpu:work; ask=7/1; idle; burst=60 -> work`},
		{name: "samples just after a probe may still be of it, once", limit: 16, steps: `ask=7/1; tail=60 -> probes gpu:quiet; tail=60 -> work`},
		{name: "at short looks, which it fills, it passes while all of them are no longer than probes may be", limit: 16,
			steps: `idle; elapsed=1s ask=7/1 gpu=90 x4 -> probes gpu:quiet; elapsed=1s ask=7/1 gpu=90 -> work gpu:work`},
		{name: "just after a probe, too, for two seconds in all", limit: 16, steps: `idle; elapsed=1s ask=7/1 -> probes; elapsed=1s gpu=90 x2 -> probes gpu:quiet; elapsed=1s gpu=90 -> work`},
		{name: "not where samples were lost", limit: 16, steps: `idle; elapsed=1s ask=7/1 -> probes; elapsed=1s gpu=90 gap -> work`},
		{name: "later samples are not", limit: 16, steps: `ask=7/1; burst=60 -> work`},
		{name: "somebody else's GPU work behind probes in every look passes once", limit: 16, steps: `ask=7/1 gpu=90 -> probes; ask=7/1 gpu=90 x20 -> work gpu:work; idle; ask=7/1 gpu=90 -> probes`},
		{name: "somebody else's GPU work between probes counts", limit: 16, steps: `ask=7/1 gpu=90; gpu=90 -> work; gpu=90 x9 -> work; ask=7/1 gpu=90 -> work`},
		{name: "the utilisation without samples passes once, too", limit: 16, steps: `let ring; idle; ask=7/1 rate=60 -> probes; ask=7/1 rate=60 -> work`},
		{name: "the GPU's burst of a probe in flight waits with it", limit: 16, steps: `running=1 burst=60 -> pending gpu:quiet; ask=7/1 burst=60 -> probes`},
		{name: "the GPU's burst counts beside a larger request", limit: 16, steps: `ask=70/1 burst=60 -> work gpu:work`},
		{name: "the GPU's burst counts beside a server that cannot be read", limit: 16, servers: 2, steps: `b:timeout ask=7/1 burst=60 -> work gpu:work`},
		{name: "the GPU's burst counts in looks that spare the page", limit: 16, steps: `ask=7/1 skipped burst=60 -> work gpu:work`},

		{name: "a connection that has waited for a second is in flight", limit: 16, steps: `c1[348/0,2s/2s] -> pending; ask=7/1 c1[348/500,7s/4s] -> probes`},
		{name: "a scrape in flight is nothing", limit: 16, steps: `c1[200/0,8ms/8ms] -> quiet; ask=7/1 c2[200/0,8ms/8ms] -> pending; idle -> quiet`},
		{name: "bytes on another port are work", limit: 16, steps: `ask=7/1 c1[348/500,7s/4s,:8188] -> work; ask=7/1 c1[348/500,7s/4s] -> probes`},
	})
}

func TestRegularProbesAreNamed(t *testing.T) {
	runProbeRows(t, []probeRow{
		{name: "six alike, a minute apart", steps: `ask=7/1 then idle*11 x5 -> regular=none; ask=7/1 -> work regular=/1m0s`},
		{name: "with the client that was there each time", steps: `ask=7/1 c1[348/500,1s/900ms] then idle*11 x6 -> regular=10.0.0.1/1m0s`},
		{name: "with the clients that were there each time", steps: `ask=7/1 c1[348/500,1s/900ms] c2[99/5000,1s/900ms] then idle*11 x6 -> regular=10.0.0.1or10.0.0.2/1m0s`},
		{name: "a scraper that is there only sometimes is not the one", steps: `ask=7/1 c1[348/500,1s/900ms] c2[99/5000,1s/900ms] then idle*11 then ask=7/1 c1[348/500,1s/900ms] then idle*11 x3 -> regular=10.0.0.1/1m0s`},
		{name: "a scraper that is there each time, and at other times, is not the one",
			steps: `ask=7/1 c1[348/500,1s/900ms] c2[99/5000,1s/900ms] then idle*2 then c2[99/5000,1s/900ms] then idle*2 then c2[99/5000,1s/900ms] then idle*2 then c2[99/5000,1s/900ms] then idle*2 x6 -> regular=10.0.0.1/1m0s`},
		{name: "a scraper that probes is the one where nobody else was there", steps: `ask=7/1 c1[348/500,1s/900ms] then idle*5 then c1[99/5000,1s/900ms] then idle*5 x6 -> regular=10.0.0.1/1m0s`},
		{name: "scrapers in turn do not hide a probe", steps: `ask=7/1 c2[99/5000,1s/900ms] then idle*5 then c2[99/5000,1s/900ms] then c3[99/5000,1s/900ms] then idle*4 then ask=7/1 c3[99/5000,1s/900ms] then idle*11 x3 -> regular=/1m0s`},
		{name: "looks at which nobody was seen say nothing of the client", steps: `ask=7/1 c1[348/500,1s/900ms] then idle*11 then ask=7/1 then idle*11 x3 -> regular=10.0.0.1/1m0s`},
		{name: "two clients in turn are not one", steps: `ask=7/1 c1[348/500,1s/900ms] then idle*11 then ask=7/1 c2[348/500,1s/900ms] then idle*11 x5 -> regular=none`},
		{name: "two clients, each with its own period", steps: `ask=7/1 c1[348/500,1s/900ms] then idle*11 then ask=7/1 c2[348/500,1s/900ms] then idle*11 x6 -> regular=10.0.0.1/2m0s,10.0.0.2/2m0s`},
		{name: "sizes that differ", steps: `ask=70/1 then idle*11 then ask=78/1 then idle*11 x5 -> regular=none`},
		{name: "sizes within a tenth", steps: `ask=100/20 then idle*11 then ask=109/19 then idle*11 x3 -> regular=/1m0s`},
		{name: "distances that differ", steps: `ask=7/1 then idle*3 then ask=7/1 then idle*11 then ask=7/1 then idle*27 x6 -> regular=none`},
		{name: "distances within a tenth", steps: `ask=7/1 then idle*22 then ask=7/1 then idle*24 x3 -> regular=/1m59s`},
		{name: "every 10 s at looks every 5 s", steps: `ask=7/1 then idle x6 -> regular=/10s`},
		{name: "requests at every look cannot be told from steady work", steps: `ask=7/1 x30 -> work regular=none`},
		{name: "they are told until they have missed three", steps: `ask=7/1 then idle*11 x6; idle x24 -> regular=/1m0s; idle x3 -> regular=none`},
		{name: "one hidden in another's sums is not missed", steps: `ask=7/1 then idle*11 then ask=7/1 then idle*11 then ask=7/1 ask=90/40 then idle*11 x3 -> regular=/1m0s`},
		{name: "two that come together are one beat", steps: `ask=2x7/1 then idle*11 x6 -> regular=/1m0s`},
		{name: "they are named where they do not count, too", limit: 16, steps: `ask=7/1 then idle*11 x5; ask=7/1 -> probes regular=/1m0s`},
		{name: "real work between them does not hide them", limit: 16, steps: `ask=7/1 then idle*3 then begin=90/9 running=1 then end=0/30 then idle*6 x6 -> regular=/1m0s,/1m0s`},

		{name: "bytes on a port of which only sockets are known, which count whatever PROBE_MAX_TOKENS says", limit: 16,
			steps: `c1[348/500,1s/900ms,:8188] then idle*11 x5; c1[348/500,1s/900ms,:8188] -> work regular=10.0.0.1/1m0s`},
		{name: "bytes each way, over two looks", steps: `c1[348/0,1s/1s,:8188] then c1[348/500,6s/3s,:8188] then idle*10 x6 -> regular=10.0.0.1/1m0s`},
		{name: "other bytes", steps: `c1[348/500,1s/900ms,:8188] then idle*11 then c1[348/900,1s/900ms,:8188] then idle*11 x5 -> regular=none`},
		{name: "scrapes of a page that counts tokens are no requests", steps: `c1[200/50000,1s/900ms] then idle*2 x20 -> quiet regular=none`},
		{name: "scrapes of a page that counts answers are none either", steps: `let nostats; idle; c1[200/50000,1s/900ms] then idle*2 x20 -> quiet regular=none`},
		{name: "answers on such a page are told by their bytes", steps: `let nostats; idle; http c1[348/500,1s/900ms] then idle*11 x6 -> regular=10.0.0.1/1m0s`},
	})
}

func TestRegularProbeIsWorded(t *testing.T) {
	p := RegularProbe{
		Source: "http://127.0.0.1:8000", Peer: "10.0.0.7", Period: time.Minute, Seen: 9,
		Size: ProbeSize{Requests: 1, Prompt: Known(7.0), Output: Known(1.0)},
	}
	if got, want := p.String(), "10.0.0.7 sends 7 prompt and 1 output tokens to http://127.0.0.1:8000 every 1m0s (9 times so far)"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got := p.MaxTokens(); got != Known(7) {
		t.Errorf("it takes PROBE_MAX_TOKENS=%v, want 7", got)
	}
	p = RegularProbe{Source: "port 8188", Period: 10 * time.Second, Seen: 6, Size: ProbeSize{Requests: 2, Received: Known(348.0), Sent: Known(500.0)}}
	if got := p.String(); !strings.Contains(got, "a client that was not seen sends 2 requests of together 348 bytes for 500 to port 8188 every 10s") {
		t.Errorf("it says %q", got)
	}
	if got := p.MaxTokens(); got.Known {
		t.Errorf("bytes say PROBE_MAX_TOKENS=%v", got)
	}
}

func TestRowsNoLargerThanProbes(t *testing.T) {
	for _, c := range []struct {
		prompt, output Maybe[float64]
		limit          int
		want           ProbeJudgement
	}{
		{Known(7.0), Known(1.0), 16, ProbesAlone},
		{Known(16.0), Known(16.0), 16, ProbesAlone},
		{Known(17.0), Known(1.0), 16, ProbesNone},
		{Known(7.0), Known(17.0), 16, ProbesNone},
		{Known(7.0), Maybe[float64]{}, 16, ProbesNone},
		{Maybe[float64]{}, Known(1.0), 16, ProbesNone},
		{Known(0.0), Known(0.0), 0, ProbesNone},
		{Known(0.0), Known(0.0), -5, ProbesNone},
	} {
		_, f := ProbeTracker{}.Observe(ProbeWindow{Elapsed: time.Second, Rows: 2, RowPrompt: c.prompt, RowOutput: c.output}, c.limit)
		if f.Rows != c.want || (f.Detail != "") != (c.want == ProbesAlone) {
			t.Errorf("%+v: judged %d, %q", c, f.Rows, f.Detail)
		}
	}
}
