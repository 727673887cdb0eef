"""Tell gpu-watchdog what vLLM's offline API served.

Copy this file beside your program; it needs nothing but Python 3.8 or later.

    from gpu_watchdog_rows import Rows

    llm = LLM(model=..., disable_log_stats=False)   # without it vLLM's offline API measures nothing
    rows = Rows(model="my-model")
    outputs = llm.generate(prompts, params)
    rows.add(outputs, labels={"restaurant_id": 12, "analysis_type": "sentiment"})

Rows are posted by a thread of their own, to the watchdog of the same pod. Nothing here raises into the program or keeps it
waiting: what cannot be posted in time is dropped and counted, and a line in the log says so. At the end of the program
what is left is posted, for at most a few seconds.

Use one Rows for each LLM, since each LLM counts its requests from 0. Durations are in milliseconds; None is unknown.
"""

import atexit
import collections
import datetime
import json
import logging
import math
import os
import threading
import time
import urllib.error
import urllib.request
import uuid

__all__ = ["Rows", "row_of"]

log = logging.getLogger("gpu_watchdog_rows")

LONGEST_MS = 30 * 24 * 3600 * 1000.0  # the watchdog refuses longer durations
MAX_LABELS, MAX_LABEL_NAME, MAX_LABEL_TEXT, MAX_ID = 16, 64, 256, 256  # bytes; the watchdog refuses more


def row_of(output, request_id=None, model=None, labels=None):
    """Make a row of one RequestOutput of vLLM, of the V0 or the V1 engine.

    Of a request with several sequences (n > 1) n_tokens is their sum, and the durations are those of the last one that
    ended. Whatever vLLM did not measure is None.
    """
    lengths = _lengths(output)
    tokens = sum(lengths) if lengths is not None else None
    durations, finished, longest = {}, None, max(lengths or [0])
    metrics = getattr(output, "metrics", None)
    if metrics is not None and hasattr(metrics, "first_token_latency"):
        durations, finished = _v1(metrics)
        longest = getattr(metrics, "num_generation_tokens", 0) or longest
    elif metrics is not None and hasattr(metrics, "first_token_time"):
        durations, finished = _v0(metrics)
    if not tokens:
        durations = {}  # nothing was generated: what the stamps differ by is no latency
    ms = {name: _milliseconds(seconds) for name, seconds in durations.items()}
    decode, total = ms.get("decode"), ms.get("total")
    prompt = getattr(output, "prompt_token_ids", None)
    row = {
        "request_id": _cut(str(getattr(output, "request_id", "") if request_id is None else request_id), MAX_ID),
        "finished_at": _rfc3339(finished),
        "queue_time_ms": ms.get("queue"),
        "prefill_time_ms": ms.get("prefill"),
        "decode_time_ms": decode,
        "total_time_ms": total,
        "ttft_ms": ms.get("ttft"),
        "prompt_tokens": None if prompt is None else len(prompt),
        "n_tokens": tokens,
        "tpot_ms": decode / (longest - 1) if decode is not None and longest > 1 else None,
        "tps": tokens / (total / 1000) if total and tokens is not None else None,
    }
    if model:
        row["model"] = _cut(str(model), MAX_ID)
    labels = _labels(labels)
    if labels:
        row["labels"] = labels
    return row


def _v1(m):
    """RequestStateStats: durations in seconds, and when the request ended.

    arrival_time is of the wall clock, the *_ts are of the engine's monotonic clock, and first_token_latency is a duration.
    Stamps of different clocks are never subtracted. A stamp of 0.0 was never taken.
    """
    decode = _between(m.first_token_ts, m.last_token_ts)
    ttft = m.first_token_latency or None
    total = None if ttft is None or decode is None else ttft + decode
    arrived = getattr(m, "arrival_time", 0.0)
    return {
        "queue": _between(m.queued_ts, m.scheduled_ts),
        "prefill": _between(m.scheduled_ts, m.first_token_ts),
        "decode": decode,
        "ttft": ttft,
        "total": total,
    }, (arrived + total if arrived and total is not None else None)


def _v0(m):
    """RequestMetrics: all stamps are of the wall clock. last_token_time is not always kept up to date."""
    last, finished = getattr(m, "last_token_time", None), getattr(m, "finished_time", None)
    if not last or not m.first_token_time or last < m.first_token_time:
        last = finished
    queue = getattr(m, "time_in_queue", None)
    if queue is None:
        queue = _between(m.arrival_time, m.first_scheduled_time)
    return {
        "queue": queue,
        "prefill": _between(m.first_scheduled_time, m.first_token_time),
        "decode": _between(m.first_token_time, last),
        "ttft": _between(m.arrival_time, m.first_token_time),
        "total": _between(m.arrival_time, finished or last),
    }, (finished or last or None)


def _between(begin, end):
    """The time from one stamp to another; None where one was never taken, which vLLM writes as 0.0 or None."""
    return end - begin if begin and end and end >= begin else None


def _milliseconds(seconds):
    if seconds is None or not math.isfinite(seconds) or not 0 <= seconds * 1000 <= LONGEST_MS:
        return None
    return seconds * 1000


def _lengths(output):
    """How many tokens each sequence has; None for outputs that are no text (pooling)."""
    sequences = getattr(output, "outputs", None)
    if not isinstance(sequences, (list, tuple)):
        return None
    return [len(sequence.token_ids) for sequence in sequences]


def _rfc3339(seconds):
    """A time as text; now, where it is none of these years."""
    now = time.time()
    if seconds is None or not 946684800 < seconds < now + 3600:  # from 2000 on; NaN is no time either
        seconds = now
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()


def _labels(labels):
    out = {}
    for name, value in (labels or {}).items():
        if value is None or not str(name) or len(out) == MAX_LABELS:
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        out[_cut(str(name), MAX_LABEL_NAME)] = value if number else _cut(str(value), MAX_LABEL_TEXT)
    return out


def _cut(text, most):
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


class Rows:
    """Posts rows to the watchdog of this pod.

    url: where the watchdog takes rows. model: the model's name, written into each row. max_rows: how many rows may wait;
    further ones are dropped. give_up_seconds: how long one post is tried before its rows are dropped.
    exit_seconds: how long the end of the program may be held up to post what is left.
    """

    BATCH = 200
    TIMEOUT = 5.0
    FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0

    def __init__(self, url="http://127.0.0.1:4317", model=None, max_rows=10000, give_up_seconds=60.0, exit_seconds=3.0):
        self._url = url.rstrip("/") + "/v1/requests"
        self._model = model
        self._max_rows = max_rows
        self._give_up = give_up_seconds
        self._exit_seconds = exit_seconds
        # Neither a proxy nor a redirect leads to the watchdog of the same pod.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        self._complained = set()
        self._posted = self._dropped = 0
        self._begin()
        atexit.register(self._at_exit)

    def _begin(self):
        """Begin with nothing, in a new process too: a fork has neither the thread nor the right to the parent's ids."""
        self._pid = os.getpid()
        self._run = "offline-" + uuid.uuid4().hex[:12]
        self._changed = threading.Condition()
        self._queue = collections.deque()
        self._sending = 0
        self._closing = False
        self._thread = None

    @property
    def posted(self):
        """How many rows the watchdog has taken."""
        return self._posted

    @property
    def dropped(self):
        """How many rows were dropped."""
        return self._dropped

    def add(self, outputs, labels=None):
        """Queue a row for each finished output, and return their request ids.

        outputs is what LLM.generate returned, or one RequestOutput. labels is a dict for all of them, or a list with one
        dict for each. An output that is not finished yet makes no row.
        """
        try:
            self._look_at_process()
            rows = []
            for i, output in enumerate(outputs if isinstance(outputs, (list, tuple)) else [outputs]):
                try:
                    if getattr(output, "finished", True):
                        rows.append(self._row(output, labels[i] if isinstance(labels, (list, tuple)) else labels))
                except Exception as e:  # the program is more important than its figures
                    self._complain("a row could not be made: %s: %s" % (type(e).__name__, e))
            return [row["request_id"] for row in rows[: self._put(rows)]]
        except Exception as e:
            self._complain("rows could not be taken: %s: %s" % (type(e).__name__, e))
            return []

    def _row(self, output, labels):
        if getattr(output, "metrics", None) is None:
            self._complain("vLLM measured nothing: give disable_log_stats=False to LLM() (0.11.1 or later); rows have tokens only")
        return row_of(output, "%s-%s" % (self._run, output.request_id), self._model, labels)

    def label(self, request_id, labels):
        """Queue labels for a request by the id of its response, such as one that a server answered; before or after it ended."""
        try:
            self._look_at_process()
            labels = _labels(labels)
            return bool(labels) and self._put([{"request_id": _cut(str(request_id), MAX_ID), "labels": labels}]) == 1
        except Exception as e:
            self._complain("labels could not be taken: %s: %s" % (type(e).__name__, e))
            return False

    def flush(self, timeout=10.0):
        """Wait until everything is posted or dropped, at most so many seconds. Returns whether nothing waits any more."""
        end = time.monotonic() + timeout
        with self._changed:
            while self._queue or self._sending:
                left = end - time.monotonic()
                if left <= 0 or self._thread is None or not self._thread.is_alive():
                    return False
                self._changed.wait(left)
        return True

    def close(self, timeout=None):
        """Post what is left, without trying again, for at most so many seconds. Returns whether nothing had to be dropped."""
        timeout = self._exit_seconds if timeout is None else timeout
        with self._changed:
            before = self._dropped
            self._closing = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout)
        with self._changed:
            left = len(self._queue) + self._sending
            self._queue.clear()
        if left:
            self._drop(left, "%d rows were not posted when the program ended" % left)
        return self._dropped == before

    def _at_exit(self):
        try:
            if self._pid == os.getpid():
                self.close()
        except Exception as e:
            self._complain("the end went wrong: %s" % e)

    def _look_at_process(self):
        if self._pid != os.getpid():
            self._begin()

    def _put(self, rows):
        """Queue what there is room for, and return how many that are."""
        with self._changed:
            room = 0 if self._closing else max(0, self._max_rows - len(self._queue) - self._sending)
            taken = rows[:room]
            self._queue.extend(taken)
            if taken and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._work, name="gpu-watchdog-rows", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        if len(taken) < len(rows):
            self._drop(len(rows) - len(taken), "rows are dropped: %d wait already, or the end has come" % self._max_rows)
        return len(taken)

    def _work(self):
        while True:
            with self._changed:
                while not self._queue:
                    if self._closing:
                        return
                    self._changed.wait()
                batch = [self._queue.popleft() for _ in range(min(self.BATCH, len(self._queue)))]
                self._sending = len(batch)
            try:
                self._post(batch)
            except Exception as e:
                self._drop(len(batch), "rows could not be posted: %s: %s" % (type(e).__name__, e))
            with self._changed:
                self._sending = 0
                self._changed.notify_all()

    def _post(self, batch):
        """Post a batch until the watchdog has taken it, or it is given up."""
        end = time.monotonic() + self._give_up
        pause = self.FIRST_PAUSE
        while batch:
            status, answer, wait = self._send(batch)
            if status == 200:
                self._posted += len(batch)
                return
            if status == 400 and isinstance(answer.get("row"), int) and 0 <= answer["row"] < len(batch):
                del batch[answer["row"]]
                self._drop(1, "a row was refused: %s" % answer.get("error"))
                continue
            if status == 413 and len(batch) > 1:
                half = len(batch) // 2
                self._post(batch[:half])
                batch = batch[half:]
                continue
            if status not in (0, 408, 429, 500, 502, 503, 504):
                self._drop(len(batch), "rows were refused with status %d: %s" % (status, answer.get("error")))
                return
            pause = min(max(pause, wait), self.LONGEST_PAUSE)
            if self._closing or time.monotonic() + pause > end:
                self._drop(len(batch), "rows were given up: %s" % answer.get("error"))
                return
            self._sleep(pause)
            pause *= 2

    def _send(self, batch):
        """Post once. Returns the status, 0 where there was no answer, what was answered, and how long to wait."""
        body = json.dumps({"requests": batch}, allow_nan=False).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=self.TIMEOUT) as response:
                response.read(1 << 16)
                return response.status, {}, 0.0
        except urllib.error.HTTPError as e:
            with e:
                answer = _object(e.read(1 << 16))
                wait = e.headers.get("Retry-After", "")
                return e.code, answer, float(wait) if wait.isdigit() else 0.0
        except OSError as e:
            return 0, {"error": "no answer from %s: %s" % (self._url, getattr(e, "reason", e))}, 0.0

    def _sleep(self, seconds):
        end = time.monotonic() + seconds
        with self._changed:
            while not self._closing and time.monotonic() < end:
                self._changed.wait(end - time.monotonic())

    def _drop(self, n, why):
        with self._changed:
            self._dropped += n
        self._complain(why)

    def _complain(self, text):
        """Write a line for each kind of mishap, once: a log that fills is a mishap of its own."""
        kind = text[:24]
        if kind not in self._complained:
            self._complained.add(kind)
            log.warning("gpu-watchdog: %s (said once; see Rows.dropped)", text)


def _object(body):
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"error": body[:200].decode("utf-8", "replace")}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None
