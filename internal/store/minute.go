package store

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// minute adds up the looks of one minute of the wall clock (UTC, since 1970).
type minute struct {
	minute                       int64
	firstTick                    uint64
	ticks                        int64
	busy, quiet, unknown, broken time.Duration

	gpuSum                 float64
	gpuSamples             int64
	gpuMax, gpuMemory      watchdog.Maybe[float64]
	power, cpu             mean
	running, waiting       mean
	runningMax, waitingMax watchdog.Maybe[float64]
	kvMax                  watchdog.Maybe[float64]
	tokens, generated      watchdog.Maybe[float64]
	price                  watchdog.Maybe[float64]
	spent, idle            watchdog.Maybe[float64]
}

// mean is a mean over time: each value counts by the window that it closes.
type mean struct{ sum, seconds float64 }

func (m *mean) add(v watchdog.Maybe[float64], seconds float64) {
	if v.Known && seconds > 0 {
		m.sum += v.Value * seconds
		m.seconds += seconds
	}
}

func (m mean) value() watchdog.Maybe[float64] {
	if m.seconds == 0 {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(m.sum / m.seconds)
}

func (m *minute) add(v *loop.View, moved moved) {
	d, s := v.Decision, v.Snapshot
	m.ticks++
	switch d.Activity {
	case watchdog.Busy:
		m.busy += s.Elapsed
	case watchdog.Quiet:
		m.quiet += s.Elapsed
	case watchdog.Broken:
		m.broken += s.Elapsed
	case watchdog.Unknown:
		m.unknown += s.Elapsed
	}
	seconds := s.Elapsed.Seconds()
	m.addGPU(s.GPU, seconds)
	m.cpu.add(d.CPUCores, seconds)
	m.running.add(d.Running, seconds)
	m.waiting.add(d.Waiting, seconds)
	m.runningMax, m.waitingMax = highest(m.runningMax, d.Running), highest(m.waitingMax, d.Waiting)
	for _, server := range s.Servers {
		for _, engine := range server.Engines {
			m.kvMax = highest(m.kvMax, engine.KVUsage)
		}
	}
	m.tokens = plus(m.tokens, d.TokensDelta)
	m.generated = plus(m.generated, moved.generated)
	m.spent, m.idle = plus(m.spent, moved.spent), plus(m.idle, moved.idle)
	if d.Quote.PriceUSDPerHour.Known {
		m.price = d.Quote.PriceUSDPerHour
	}
}

// addGPU adds each sample of each device; a device whose ring had nothing new counts by its rate.
func (m *minute) addGPU(gpu watchdog.GPU, seconds float64) {
	if gpu.State != watchdog.SourceOK {
		return
	}
	var memory, power watchdog.Maybe[float64]
	for _, device := range gpu.Devices {
		if device.State != watchdog.SourceOK {
			continue
		}
		for _, percent := range device.Samples {
			m.sample(float64(percent))
		}
		if len(device.Samples) == 0 && device.Rate.Known {
			m.sample(device.Rate.Value)
		}
		memory, power = plus(memory, device.MemoryUsedBytes), plus(power, device.PowerWatts)
	}
	m.gpuMemory = highest(m.gpuMemory, memory)
	m.power.add(power, seconds)
}

func (m *minute) sample(percent float64) {
	m.gpuSum += percent
	m.gpuSamples++
	m.gpuMax = highest(m.gpuMax, watchdog.Known(percent))
}

const upsertMinute = `INSERT INTO minutes (minute, run, first_tick, ticks, busy_ns, quiet_ns, unknown_ns, broken_ns, gpu_samples, gpu_mean,
  gpu_max, gpu_memory_bytes, gpu_power_watts, running_mean, running_max, waiting_mean, waiting_max, kv_max, tokens, generated_tokens,
  cpu_cores_mean, price_usd_per_hour, spent_usd, idle_usd) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
  ON CONFLICT DO UPDATE SET ticks = excluded.ticks, busy_ns = excluded.busy_ns, quiet_ns = excluded.quiet_ns, unknown_ns = excluded.unknown_ns,
  broken_ns = excluded.broken_ns, gpu_samples = excluded.gpu_samples, gpu_mean = excluded.gpu_mean, gpu_max = excluded.gpu_max,
  gpu_memory_bytes = excluded.gpu_memory_bytes, gpu_power_watts = excluded.gpu_power_watts, running_mean = excluded.running_mean,
  running_max = excluded.running_max, waiting_mean = excluded.waiting_mean, waiting_max = excluded.waiting_max, kv_max = excluded.kv_max,
  tokens = excluded.tokens, generated_tokens = excluded.generated_tokens, cpu_cores_mean = excluded.cpu_cores_mean,
  price_usd_per_hour = excluded.price_usd_per_hour, spent_usd = excluded.spent_usd, idle_usd = excluded.idle_usd`

// event is the minute as it is now, as a row.
func (m *minute) event(run int64) event {
	first := int64(m.firstTick)
	var gpuMean watchdog.Maybe[float64]
	if m.gpuSamples > 0 {
		gpuMean = watchdog.Known(m.gpuSum / float64(m.gpuSamples))
	}
	return event{
		key: eventKey{"minutes", m.minute, first}, statement: upsertMinute,
		args: []any{
			m.minute, run, first, m.ticks, int64(m.busy), int64(m.quiet), int64(m.unknown), int64(m.broken), m.gpuSamples, number(gpuMean),
			number(m.gpuMax), number(m.gpuMemory), number(m.power.value()), number(m.running.value()), number(m.runningMax),
			number(m.waiting.value()), number(m.waitingMax), number(m.kvMax), number(m.tokens), number(m.generated), number(m.cpu.value()),
			number(m.price), number(m.spent), number(m.idle),
		},
	}
}

// moved is what went on between two looks.
type moved struct{ spent, idle, generated watchdog.Maybe[float64] }

// meter takes the differences of what the views add up.
type meter struct {
	begun       bool
	spent, idle float64
	generated   map[engineKey]reading
}

type engineKey struct{ url, id string }

// reading is an engine's count of generated tokens, under the start of its server.
type reading struct{ startedAt, tokens float64 }

func (m *meter) pass(v *loop.View) (out moved) {
	money := v.Money
	if money.SpentToday.Known && m.begun {
		out.spent, out.idle = watchdog.Known(money.SpentTotal-m.spent), watchdog.Known(money.IdleTotal-m.idle)
	} else if money.SpentToday.Known {
		out.spent, out.idle = watchdog.Known(money.SpentTotal), watchdog.Known(money.IdleTotal)
	}
	m.begun, m.spent, m.idle = true, money.SpentTotal, money.IdleTotal

	next := map[engineKey]reading{}
	for _, server := range v.Snapshot.Servers {
		for _, engine := range server.Engines {
			tokens := engine.Counters[watchdog.GenerationTokens]
			if !tokens.Known {
				continue
			}
			key, now := engineKey{server.URL, engine.ID}, reading{server.StartedAt, tokens.Value}
			next[key] = now
			if was, ok := m.generated[key]; ok && was.startedAt == now.startedAt && now.tokens >= was.tokens {
				out.generated = plus(out.generated, watchdog.Known(now.tokens-was.tokens))
			}
		}
	}
	for key, was := range m.generated { // a server that was not asked keeps its last reading
		if _, ok := next[key]; !ok && len(next) < mostEngines {
			next[key] = was
		}
	}
	m.generated = next
	return out
}

// mostEngines bounds the readings that are kept of servers that are gone.
const mostEngines = 64
