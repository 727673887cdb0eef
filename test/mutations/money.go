package main

const (
	moneyFile  = "costmodel/money.go"
	policyFile = "costmodel/policy.go"
	startsFile = "costmodel/coldstart.go"
	meterFile  = "costmodel/startmeter.go"
)

// moneyMutations take out what things cost, when a stop pays, and how a start is measured.
var moneyMutations = []mutation{
	{"money: running storage is free", moneyFile, `hourly := r.Value + t.StorageRunning`, `hourly := r.Value`},
	{"money: stopped storage is free", moneyFile, `saving := hourly - t.StorageStopped`, `saving := hourly`},
	{"money: people wait for nothing", moneyFile, `cost := bill * (1 + factor)`, `cost := bill`},
	{"money: a penalty in dollars is none", moneyFile, `cost = bill + atLeastZero(t.Penalty.USD)`, `cost = bill`},
	{"money: a stop pays without a saving", moneyFile, `	if saving <= 0 {`, `	if saving < -1e300 {`},
	{"money: an impossible price is a price", moneyFile, `if !priced(r) || !finite(saving) || !finite(cost) || cost < 0 {`, `if !r.Known {`},
	{"money: sums beyond all numbers count", moneyFile, `if !priced(r) || !finite(saving) || !finite(cost) || cost < 0 {`, `if !priced(r) {`},
	{"money: dollars without a price are no penalty", moneyFile, `			factor = DefaultPenaltyFactor
`, `			factor = 0
`},
	{"money: the bill contains the people's wait", moneyFile, `q.BillBreakEven = hours(bill / saving)`, `q.BillBreakEven = hours(cost / saving)`},
	{"money: a duration may overflow", moneyFile, `if factor <= most && d <= longest/most && factor == math.Trunc(factor) {`, `if factor == math.Trunc(factor) {`},
	{"policy: IDLE_MIN is ignored", policyFile, `t = max(t, lower)`, `_ = lower`},
	{"policy: IDLE_MAX is ignored", policyFile, `if p.IdleMax > 0 {`, `if false {`},
	{"policy: IDLE_MIN's default bends the seed", policyFile, `if p.IdleMinSet {`, `if true {`},
	{"policy: an IDLE_MIN that was asked for does not bend the seed", policyFile, `if p.IdleMinSet {`, `if false {`},
	{"policy: IDLE_LIMIT does not bind the seed", policyFile, `if p.IdleLimit == 0 {`, `if true {`},
	{"policy: checks are rounded down", policyFile, `(q.BillBreakEven + p.CheckInterval - 1) / p.CheckInterval`, `q.BillBreakEven / p.CheckInterval`},
	{"policy: thresholds may be below three looks", policyFile, `return max(t, 3*p.CheckInterval)`, `return t`},
	{"start: every kind of start is a cold start", startsFile, `s.Kind == PodStart && `, ``},
	{"start: starts of long ago count", startsFile, ` && len(values) < keepStarts`, ``},
	{"start: the unseen part is nothing", startsFile, `s.Ready+s.FirstToken+unseen`, `s.Ready+s.FirstToken`},
	{"start: the first token is nothing", startsFile, `s.Ready+s.FirstToken+unseen`, `s.Ready+unseen`},
	{"start: the prior counts once", startsFile, `priorWeight = 2`, `priorWeight = 1`},
	{"start: the median instead of the 75th percentile", startsFile, `3 * (len(values) - 1)`, `2 * (len(values) - 1)`},
	{"start: percentiles are not interpolated", startsFile, `if rest > 0 {`, `if false {`},
	{"start: a server that was up already has started", meterFile, `	case first:
		m.up = true
`, `	case first:
		m.begin()
`},
	{"start: a watchdog restarted during the loading measures it", meterFile, `		m.running = false
		return
`, `		m.kind = PodStart
`},
	{"start: a container's age always counts", meterFile, `age.Known && age.Value <= longestHeadStart`, `age.Known`},
	{"start: a container's age never counts", meterFile, `age.Known && age.Value <= longestHeadStart`, `false`},
	{"start: a failed start is a sample", meterFile, `m.running && m.elapsed > m.timeout()`, `false`},
	{"start: a slow answer is a restart", meterFile, `case m.up && down(s):`, `case m.up:`},
	{"start: looks that spared the server take no time", meterFile, `	if !seen {
		m.elapsed += s.Elapsed
`, `	if !seen {
`},
	{"start: several first tokens are one", meterFile, `case count > 1 && !m.haveFirst:`, `case false:`},
	{"start: a first token may take an hour", meterFile, `over > 0 && over <= longestFirstToken.Seconds()`, `over > 0`},
}
