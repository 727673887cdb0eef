-- Instants are microseconds since 1970 UTC (*_at) unless the name says minute or day, durations are seconds (*_s, REAL) or
-- nanoseconds (*_ns, INTEGER), and NULL is unknown, never 0.

-- One run is one process of the watchdog; its id is the instant at which it began.
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  version TEXT NOT NULL,
  name TEXT NOT NULL,
  start_id TEXT NOT NULL,
  config TEXT NOT NULL,
  settings TEXT NOT NULL -- JSON: variable to value, secrets left out
) STRICT;

-- One finished sequence of a request. id never runs backwards, not even after all rows were deleted (AUTOINCREMENT): the
-- figures of days remember by it which rows they hold.
CREATE TABLE requests (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL, -- span, post, or sql (inserted into vllm_metrics)
  once BLOB NOT NULL,   -- hash of source and key
  request_id TEXT,
  response_id TEXT,     -- where the client knows the request under another id
  model TEXT,
  finished_at INTEGER NOT NULL,
  queue_s REAL,
  prefill_s REAL,
  decode_s REAL,
  total_s REAL,
  ttft_s REAL,
  tpot_s REAL,
  tps REAL,
  prompt_tokens INTEGER,
  output_tokens INTEGER,
  aborted INTEGER NOT NULL
) STRICT;

-- Each row once. A random key alone would touch a page of its own for each row, which writes thirteen times as much and is
-- slower than rows may come once there are 400,000. Led by the time, neighbours in time share pages. A span's end belongs
-- to its identity, so this holds it apart; a posted row may come again under another time, so its key alone must do.
CREATE UNIQUE INDEX requests_once ON requests (finished_at, once);
CREATE UNIQUE INDEX requests_posted_once ON requests (once) WHERE source <> 'span';

-- Labels for the requests of an id, be it request_id or response_id, whichever comes first.
CREATE TABLE labels (
  request_id TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  posted_at INTEGER NOT NULL,
  PRIMARY KEY (request_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX labels_by_age ON labels (posted_at);

-- The phases of a server's start, from its loading spans. parent is the name of the phase around it, where it came with it;
-- parent_key finds it in any case.
CREATE TABLE phases (
  began_at INTEGER NOT NULL,
  key TEXT NOT NULL,
  parent_key TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  name TEXT NOT NULL,
  process TEXT NOT NULL,
  parent TEXT NOT NULL,
  seconds REAL NOT NULL,
  PRIMARY KEY (began_at, key)
) STRICT, WITHOUT ROWID;

-- What the days are made of, added up: sums over all requests of a UTC day (days since 1970) up to the row that sealed names.
-- Where a sum has values that may be unknown, *_n counts the known ones.
CREATE TABLE days (
  day INTEGER PRIMARY KEY,
  requests INTEGER NOT NULL,
  spans INTEGER NOT NULL,
  aborted INTEGER NOT NULL,
  prompt_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  queue_n INTEGER NOT NULL,
  queue_s REAL NOT NULL,
  prefill_n INTEGER NOT NULL,
  prefill_s REAL NOT NULL,
  decode_n INTEGER NOT NULL,
  decode_s REAL NOT NULL,
  total_n INTEGER NOT NULL,
  total_s REAL NOT NULL,
  ttft_n INTEGER NOT NULL,
  ttft_s REAL NOT NULL,
  tpot_n INTEGER NOT NULL,
  tpot_s REAL NOT NULL,
  tps_n INTEGER NOT NULL,
  tps REAL NOT NULL
) STRICT;

-- Every TTFT and TPOT of a day in sorted strips, so that any percentile, under any SLA, over any days, is exact and reads
-- only the strips around it. data is n float64, little-endian and ascending; for TTFT the output tokens of each follow as
-- uvarints. fences is every 256th of those float64, by which a reader knows where in a strip a value must be without reading it.
CREATE TABLE strips (
  id INTEGER PRIMARY KEY,
  day INTEGER NOT NULL,
  kind INTEGER NOT NULL,  -- 0 TTFT, 1 TPOT
  level INTEGER NOT NULL, -- 0 as sealed, 1 merged
  low REAL NOT NULL,
  high REAL NOT NULL,
  n INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  fences BLOB NOT NULL,
  data BLOB NOT NULL
) STRICT;
CREATE INDEX strips_by_day ON strips (day, kind);
CREATE INDEX strips_to_merge ON strips (day, kind) WHERE level = 0;

-- All requests with an id up to this one are in days and strips.
CREATE TABLE sealed (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 0),
  through INTEGER NOT NULL
) STRICT;
INSERT INTO sealed VALUES (0, 0);

-- One row for each minute (since 1970) of each run; a clock that was set back makes a second row of the same minute.
CREATE TABLE minutes (
  minute INTEGER NOT NULL,
  run INTEGER NOT NULL,
  first_tick INTEGER NOT NULL,
  ticks INTEGER NOT NULL,
  busy_ns INTEGER NOT NULL,
  quiet_ns INTEGER NOT NULL,
  unknown_ns INTEGER NOT NULL,
  broken_ns INTEGER NOT NULL,
  gpu_samples INTEGER NOT NULL,
  gpu_mean REAL,              -- percent, over samples of all devices
  gpu_max REAL,
  gpu_memory_bytes REAL,      -- highest sum over devices
  gpu_power_watts REAL,       -- mean of the sum over devices
  running_mean REAL,
  running_max REAL,
  waiting_mean REAL,
  waiting_max REAL,
  kv_max REAL,                -- share of the KV blocks, 0 to 1
  tokens REAL,                -- prompt and generated, by the server's counters
  generated_tokens REAL,
  cpu_cores_mean REAL,
  price_usd_per_hour REAL,
  spent_usd REAL,
  idle_usd REAL,
  PRIMARY KEY (minute, run, first_tick)
) STRICT, WITHOUT ROWID;

-- A stretch of looks that decided alike. Numbers stand as they were at its first and its last look.
CREATE TABLE decisions (
  run INTEGER NOT NULL,
  first_tick INTEGER NOT NULL,
  last_tick INTEGER NOT NULL,
  ticks INTEGER NOT NULL,
  began_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  reason TEXT NOT NULL,
  activity TEXT NOT NULL,
  final INTEGER NOT NULL,     -- a final look
  act INTEGER NOT NULL,       -- the stop was carried out
  activity_since_at INTEGER NOT NULL,
  reasons TEXT NOT NULL,      -- JSON, as at the first look
  reasons_last TEXT NOT NULL,
  idle_first_ns INTEGER NOT NULL,
  idle_last_ns INTEGER NOT NULL,
  unknown_first_ns INTEGER NOT NULL,
  unknown_last_ns INTEGER NOT NULL,
  threshold_ns INTEGER,
  policy TEXT NOT NULL,
  cold_start_ns INTEGER NOT NULL,
  cold_start_usd REAL,
  break_even_ns INTEGER NOT NULL,
  bill_break_even_ns INTEGER NOT NULL,
  no_saving INTEGER NOT NULL,
  price_usd_per_hour REAL,
  saving_usd_per_hour REAL,
  stop_at INTEGER,            -- as at the last look, like until_at
  until_at INTEGER,
  running_max REAL,
  waiting_max REAL,
  tokens REAL,                -- moved over the stretch
  connection_bytes INTEGER,   -- moved over the stretch
  peer TEXT NOT NULL,         -- the last one
  gpu_max REAL,
  gpu_threshold_first REAL NOT NULL,
  gpu_threshold_last REAL NOT NULL,
  cpu_cores_max REAL,
  evidence TEXT NOT NULL,     -- JSON
  PRIMARY KEY (run, first_tick)
) STRICT, WITHOUT ROWID;
CREATE INDEX decisions_by_time ON decisions (began_at);

-- Each step of each attempt to stop the pod.
CREATE TABLE attempts (
  run INTEGER NOT NULL,
  tick INTEGER NOT NULL,
  at INTEGER NOT NULL,
  phase TEXT NOT NULL,
  tries INTEGER NOT NULL,
  target TEXT NOT NULL,
  rung TEXT NOT NULL,
  detail TEXT NOT NULL,
  retry_in_ns INTEGER NOT NULL,
  unproven INTEGER NOT NULL,
  PRIMARY KEY (run, tick)
) STRICT, WITHOUT ROWID;

-- Measured starts.
CREATE TABLE starts (
  ready_at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  ready_ns INTEGER NOT NULL,
  first_token_ns INTEGER NOT NULL,
  PRIMARY KEY (ready_at, kind)
) STRICT, WITHOUT ROWID;

-- The rows under the columns that people's own SQL knows. Milliseconds are rounded to the nanosecond, so that 123.4 comes out
-- as 123.4. A label that is a whole number is one; the one of request_id goes before that of response_id. Labels are looked up
-- by whoever asks for them alone: joins would be done for every query that adds up. (SQLite 3.40, which Debian 12 has,
-- does not find r in the ORDER BY of a subquery.)
CREATE VIEW vllm_metrics (id, request_id, restaurant_id, analysis_type, prefill_time_ms, decode_time_ms, total_time_ms, n_tokens, tpot_ms, tps, created_at) AS
SELECT r.id, r.request_id,
  coalesce(
    (SELECT iif(CAST(CAST(value AS INTEGER) AS TEXT) = value, CAST(value AS INTEGER), value) FROM labels WHERE request_id = r.request_id AND name = 'restaurant_id'),
    (SELECT iif(CAST(CAST(value AS INTEGER) AS TEXT) = value, CAST(value AS INTEGER), value) FROM labels WHERE request_id = r.response_id AND name = 'restaurant_id')),
  coalesce(
    (SELECT value FROM labels WHERE request_id = r.request_id AND name = 'analysis_type'),
    (SELECT value FROM labels WHERE request_id = r.response_id AND name = 'analysis_type')),
  round(r.prefill_s * 1000, 6), round(r.decode_s * 1000, 6), round(r.total_s * 1000, 6),
  r.output_tokens, round(r.tpot_s * 1000, 6), r.tps,
  datetime(r.finished_at / 1000000, 'unixepoch')
FROM requests AS r;

-- Whoever wrote into a table of that name goes on doing so. A row without a request_id gets one, because labels need it.
CREATE TRIGGER vllm_metrics_insert INSTEAD OF INSERT ON vllm_metrics
BEGIN
  INSERT INTO requests (source, once, request_id, finished_at, prefill_s, decode_s, total_s, tpot_s, tps, output_tokens, aborted)
  SELECT 'sql', fresh, coalesce(CAST(NEW.request_id AS TEXT), 'sql-' || lower(hex(fresh))),
    coalesce(unixepoch(NEW.created_at), unixepoch()) * 1000000,
    NEW.prefill_time_ms / 1000.0, NEW.decode_time_ms / 1000.0, NEW.total_time_ms / 1000.0, NEW.tpot_ms / 1000.0,
    NEW.tps, NEW.n_tokens, 0
  FROM (SELECT randomblob(16) AS fresh);
  INSERT INTO labels
  SELECT request_id, 'restaurant_id', CAST(NEW.restaurant_id AS TEXT), finished_at FROM requests WHERE id = last_insert_rowid() AND NEW.restaurant_id IS NOT NULL
  ON CONFLICT DO UPDATE SET value = excluded.value, posted_at = excluded.posted_at;
  INSERT INTO labels
  SELECT request_id, 'analysis_type', CAST(NEW.analysis_type AS TEXT), finished_at FROM requests WHERE id = last_insert_rowid() AND NEW.analysis_type IS NOT NULL
  ON CONFLICT DO UPDATE SET value = excluded.value, posted_at = excluded.posted_at;
END;
