
"use strict";
const at = (id) => document.getElementById(id);

// Text only ever enters the page as text nodes: what a server, a driver or a client called itself is never markup.
function el(name, className, ...children) {
  const e = document.createElement(name);
  if (className) e.className = className;
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}
const or = (value, write = String) => (value === null || value === undefined ? el("span", "dim", "unknown") : write(value));

function span(seconds) {
  let s = Math.max(0, Math.round(seconds));
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  s %= 60;
  if (d) return `${d}d ${h}h`;
  if (h) return `${h}h ${m}m`;
  if (m) return s ? `${m}m ${s}s` : `${m}m`;
  return `${s}s`;
}
const usd = (v) => (Math.abs(v) >= 0.1 || v === 0 ? v.toFixed(2) : v.toPrecision(2)) + " $";
const percent = (v) => `${Math.round(v * 10) / 10} %`;
const clock = (t) => new Date(t).toLocaleTimeString();
// With its day where that is another one.
const moment = (t, now) => (new Date(t).toDateString() === new Date(now).toDateString() ? clock(t) : new Date(t).toLocaleString());
const ago = (t, now) => `${span((Date.parse(now) - Date.parse(t)) / 1000)} ago`;

// Numbers as the panel in the terminal writes them: two or three digits, and bounds that are rounded away from the truth between them.
function decimals(v) {
  const a = Math.abs(v);
  return a >= 100 || a < 1e-8 ? 0 : a >= 10 ? 1 : a >= 0.1 ? 2 : 1 - Math.floor(Math.log10(a));
}
const figure = (v) => v.toFixed(decimals(v));
function rounded(v, digits, round) {
  const scaled = v * 10 ** digits, nearest = Math.round(scaled);
  return ((Math.abs(scaled - nearest) < 1e-6 ? nearest : round(scaled)) / 10 ** digits).toFixed(digits);
}
function between(low, high, unit) {
  if (low === null) return or(null);
  if (high === null) return `${rounded(low, decimals(low), Math.floor)} ${unit} or more`;
  if (low <= 0) return `0–${Number(rounded(high, decimals(high), Math.ceil))} ${unit}`;
  const digits = Math.max(decimals(high), Math.min(decimals(low), decimals(high) + 1));
  let from = rounded(low, digits, Math.floor), to = rounded(high, digits, Math.ceil);
  while (from.includes(".") && from.endsWith("0") && to.endsWith("0")) [from, to] = [from, to].map((text) => text.slice(0, -1).replace(/\.$/, ""));
  return from === to ? `${from} ${unit}` : `${from}–${to} ${unit}`;
}

function card(title, body, className = "") {
  return el("section", `card ${className}`, el("h2", "", title), body);
}
function facts(...rows) {
  const list = el("dl");
  for (const [name, ...values] of rows) list.append(el("dt", "", name), el("dd", "", ...values));
  return list;
}
const stateOf = (s) => el("span", s === "ok" ? "good" : s === "absent" || s === null ? "dim" : "bad", s ?? "unknown");

function hero(s) {
  at("hero").hidden = false;
  at("hero").style.setProperty("--tone", `var(--${s.activity ?? "unknown"})`);
  const since = s.activity_since && ` for ${span((Date.parse(s.now) - Date.parse(s.activity_since)) / 1000)}`;
  at("activity").replaceChildren(s.activity ? s.activity[0].toUpperCase() + s.activity.slice(1) : "Unknown", since ?? "");
  at("verdict").replaceChildren(el("strong", "", s.verdict ?? "no verdict yet"), " ", s.reason ? el("code", "", s.reason) : "", " ", s.reasons[0]?.detail ?? "");
  const share = s.threshold_seconds > 0 && s.idle_seconds !== null ? Math.min(1, s.idle_seconds / s.threshold_seconds) : 0;
  at("bar").style.width = `${share * 100}%`;
  at("clock").replaceChildren("idle ", or(s.idle_seconds, span), s.threshold_seconds === null
    ? el("span", "dim", ", and no threshold: it is chosen when idleness begins") : ` of ${span(s.threshold_seconds)}`);
  at("stop").className = s.verdict === "warn" || s.verdict === "stop" ? "bad" : "";
  at("people").replaceChildren(...people(s));
  at("stop").replaceChildren(s.stop_at === null ? el("span", "dim", "no stop in sight") : el("strong", "", `stop at ${moment(s.stop_at, s.now)}, in ${span((Date.parse(s.stop_at) - Date.parse(s.now)) / 1000)}`));
}

// What people asked for, and what to type to keep a pod whose stop is announced. No hold keeps off a cap.
function people(s) {
  const list = [], until = (t) => el("strong", "", moment(t, s.now)), type = (order) => el("code", "", `gpu-watchdog ${order}`);
  for (const h of s.holds) list.push(el("li", "", "held until ", until(h.until), ` by ${h.by ?? "somebody"}${h.why ? `: ${h.why}` : ""}`));
  if (s.postponed_until) list.push(el("li", "", "put off until ", until(s.postponed_until)));
  if (list.length) list.push(el("li", "dim", type("release"), " ends that"));
  if (s.reverted_until) list.push(el("li", "bad", "stops nothing until ", until(s.reverted_until), ", or until a request comes"));
  if (s.verdict === "warn") list.push(s.reason === "max_runtime" || s.reason === "max_spend" ? el("li", "", "a hold does not help against a cap") : el("li", "", "to keep it, type in the pod: ", type("hold 2h")));
  return list;
}

function badges(s) {
  const list = [];
  if (s.draining) list.push(el("span", "badge note", "draining"));
  if (s.dry_run) list.push(el("span", "badge note", "dry run"));
  if (s.armed !== null) list.push(s.armed && s.reverted_until ? el("span", "badge bad", "disarmed") : s.armed ? el("span", "badge good", "armed") : el("span", "badge bad", "not armed"));
  at("badges").replaceChildren(...list);
}

function money(s) {
  const m = s.money, c = s.caps, most = (limit, write) => (limit === null ? null : el("span", "dim", ` of at most ${write(limit)}`)), rows = [
    ["an hour", or(m.price_usd_per_hour, usd), m.price_source ? el("span", "dim", ` from the ${m.price_source}`) : null],
    ["a cold start", or(m.cold_start_seconds, span), m.cold_start_samples === null ? null : el("span", "dim", m.cold_start_samples ? ` measured ${m.cold_start_samples}×` : " assumed, none measured yet")],
    ["break-even", or(s.break_even_seconds, span)],
    ["spent today", or(m.spent_today_usd, usd), most(c.max_spend_per_day_usd, usd)],
    ["of it idle", or(m.idle_today_usd, usd)],
  ];
  if (c.max_runtime_seconds !== null) rows.push(["this start", or(c.run_seconds, span), most(c.max_runtime_seconds, span)]);
  return facts(...rows);
}

const tellers = { spans: "vLLM's spans", rows: "posted rows", histograms: "vLLM's histograms (bounds)" };

function lately(seconds) {
  if (seconds === null) return "lately";
  return seconds < 90 ? `in the last ${Math.round(seconds)} seconds` : `in the last ${Math.round(seconds / 60)} minutes`;
}

function served(s) {
  const w = s.serving, f = w.ttft_seconds, m = s.money, guessed = w.source === "histograms", rows = [];
  if (w.source === null) {
    rows.push(["requests", or(null), el("span", "dim", ": no server's histograms were read lately, and no rows came in")]);
  } else if (w.requests === 0 && !w.output_tokens_per_second && f.p95_low === null) {
    rows.push(["requests", `no requests ${lately(w.window_seconds)}`]);
  } else {
    const rate = w.serving_tokens_per_second === null ? "" : ` (${figure(w.serving_tokens_per_second)} while serving`;
    const kept = w.sla_rate_met === null ? "" : w.sla_rate_met ? `, the SLA of ${w.sla_tokens_per_second} kept` : `, below the SLA of ${w.sla_tokens_per_second}`;
    const share = w.sla_percent === null ? between(w.sla_percent_low, w.sla_percent_high, "%") : `${rounded(w.sla_percent, decimals(w.sla_percent), Math.floor)} %`;
    rows.push(
      ["requests", or(w.requests, (n) => n.toFixed(0)), ` finished ${lately(w.window_seconds)}`, el("span", "dim", `, by ${tellers[w.source] ?? w.source}`)],
      ["TTFT", "p50 ", or(f.p50, (v) => `${guessed ? "about " : ""}${figure(v)} s`), ", p95 ", guessed || f.p95 === null ? between(f.p95_low, f.p95_high, "s") : `${figure(f.p95)} s`],
      ["SLA", share, el("span", "dim", ` of first tokens ${w.sla_ttft_seconds === null ? "in time" : `within ${w.sla_ttft_seconds} s`}`)],
      ["goodput", w.goodput_requests_per_second === null ? between(w.goodput_requests_per_second_low, w.goodput_requests_per_second_high, "requests/s") : `${figure(w.goodput_requests_per_second)} requests/s`],
      ["output", or(w.output_tokens_per_second, (v) => `${figure(v)} tokens/s`), el("span", "dim", rate && `${rate}${kept})`)],
    );
  }
  if (m.usd_per_million_tokens_24h !== null) rows.push(["token price", usd(m.usd_per_million_tokens_24h), el("span", "dim", " for a million output tokens, over the last day")]);
  return facts(...rows);
}

function target(s) {
  const t = s.target, detail = t.detail ? el("span", "dim", ` ${t.detail}`) : null;
  const rows = t.kind === null ? [["stops", el("span", "dim", s.armed === null ? "unknown" : "nothing"), detail]]
    : [["stops", `${t.kind} ${t.id ?? ""}`], ["action", or(t.action)], ["permission", or(t.permission), detail]];
  return facts(...rows, ["policy", or(s.policy)], ["started by", or(s.wake, (w) => (w === "manual" ? "a person" : "the next request"))],
    ["memory", or(s.persistent, (p) => (p ? "survives a stop" : "is lost with a stop"))]);
}

function sources(s) {
  const src = s.sources, rows = [];
  for (const v of src.vllm) rows.push(["vllm", stateOf(v.state), ` ${v.url} `, el("span", "dim", v.version ?? "", v.last_success ? ` answered ${ago(v.last_success, s.now)}` : v.state === "ok" ? "" : " no answer yet")]);
  for (const g of src.gpu) rows.push(["gpu", stateOf(g.state), ` ${g.name ?? ""} `, g.percent_max === null ? null : percent(g.percent_max), g.floor_percent === null ? null : el("span", "dim", ` noise floor ${percent(g.floor_percent)}`)]);
  rows.push(["sockets", stateOf(src.sockets.state), ` ports ${src.sockets.ports.join(", ") || "none"} `, src.sockets.last_bytes_seconds_ago === null ? null : el("span", "dim", `bytes ${span(src.sockets.last_bytes_seconds_ago)} ago from ${src.sockets.last_peer ?? "unknown"}`)]);
  rows.push(["host", stateOf(src.host.state), src.host.cpu_cores === null ? null : ` ${src.host.cpu_cores.toFixed(2)} cores`, src.host.terminals === null ? null : el("span", "dim", ` terminals open: ${src.host.terminals}`)]);
  return facts(...rows);
}

function lastStop(s) {
  const l = s.last_stop;
  return facts(["asked", or(l.requested_at, (t) => new Date(t).toLocaleString())], ["of", or(l.target)], ["result", or(l.result), l.detail && el("span", "dim", ` ${l.detail}`)], ...(l.proof ? [["proof", l.proof]] : []));
}

const reasons = (s) => el("ul", "", ...s.reasons.map((r) => el("li", "", el("code", "", r.code), ` ${r.detail} `, r.since ? el("span", "dim", `since ${clock(r.since)}`) : null)));

function show(s) {
  document.title = `${s.name ?? "gpu-watchdog"}: ${s.activity ?? "unknown"}`;
  at("name").textContent = s.name ?? "gpu-watchdog";
  at("about").textContent = `gpu-watchdog ${s.version}`;
  at("asof").textContent = `as of ${clock(s.now)}`;
  badges(s);
  hero(s);
  const cards = [];
  if (s.warnings.length) cards.push(card("Warnings", el("ul", "", ...s.warnings.map((w) => el("li", "", w))), "wide warn"));
  if (s.reasons.length) cards.push(card("Why", reasons(s), "wide"));
  if (s.server_log.length) cards.push(card("The server's last lines", el("pre", "", s.server_log.join("\n")), "wide"));
  cards.push(card("Serving", served(s), "wide"), card("Money", money(s)), card("Target", target(s)));
  if (s.last_stop) cards.push(card("Last stop", lastStop(s)));
  cards.push(card("Evidence", sources(s), "wide"));
  at("cards").replaceChildren(...cards);
}

async function refresh() {
  try {
    const answer = await fetch("status", { signal: AbortSignal.timeout(4000) });
    if (!answer.ok) throw new Error(await answer.text());
    show(await answer.json());
    at("trouble").hidden = true;
  } catch (e) {
    at("trouble").textContent = `The watchdog does not answer, so what is shown may be old. ${e.message}`;
    at("trouble").hidden = false;
  }
}
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, 5000);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
