"""Tests of gpu_watchdog_rows. They need nothing but Python: python3 -m unittest"""

import http.server
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import types
import unittest

import gpu_watchdog_rows
from gpu_watchdog_rows import Rows, row_of

HERE = os.path.dirname(os.path.abspath(__file__))


def output(request_id="0", metrics=None, tokens=(40,), prompt=26, finished=True):
    """A RequestOutput as far as it is read."""
    return types.SimpleNamespace(
        request_id=request_id,
        finished=finished,
        metrics=metrics,
        prompt_token_ids=[1] * prompt,
        outputs=[types.SimpleNamespace(token_ids=[1] * n) for n in tokens],
    )


def v1(**changed):
    """The stamps of a real request, of vLLM 0.32.0."""
    stamps = dict(
        num_generation_tokens=40, num_preemptions=0, arrival_time=1700000000.0178277, queued_ts=7032.60442898,
        scheduled_ts=7032.60446916, first_token_ts=7032.645439175, last_token_ts=7032.906651107,
        first_token_latency=0.05443143844604492, is_corrupted=False,
    )
    stamps.update(changed)
    return types.SimpleNamespace(**stamps)


def v0(**changed):
    """Stamps as the V0 engine has them (0.8.5 and before)."""
    stamps = dict(
        arrival_time=1.7e9, last_token_time=1.7e9 + 1.5, first_scheduled_time=1.7e9 + 0.25, first_token_time=1.7e9 + 0.5,
        time_in_queue=0.25, finished_time=1.7e9 + 1.75, scheduler_time=0.01, model_forward_time=None, model_execute_time=None,
    )
    stamps.update(changed)
    return types.SimpleNamespace(**stamps)


class RowOf(unittest.TestCase):
    def near(self, row, **want):
        for name, value in want.items():
            if value is None:
                self.assertIsNone(row[name], name)
            else:
                self.assertAlmostEqual(row[name], value, 3, name)

    def test_v1(self):
        row = row_of(output(metrics=v1()), model="m", labels={"restaurant_id": 12})
        self.near(row, queue_time_ms=0.040, prefill_time_ms=40.970, decode_time_ms=261.212, ttft_ms=54.431, total_time_ms=315.643,
                  tpot_ms=261.212 / 39, tps=40 / 0.315643, n_tokens=40, prompt_tokens=26)
        self.assertEqual((row["request_id"], row["model"], row["labels"]), ("0", "m", {"restaurant_id": 12}))
        self.assertEqual(row["finished_at"][:22], "2023-11-14T22:13:20.33")

    def test_v1_one_token(self):
        row = row_of(output(metrics=v1(last_token_ts=7032.645439175, num_generation_tokens=1), tokens=(1,)))
        self.near(row, decode_time_ms=0.0, total_time_ms=54.431, tpot_ms=None, tps=1 / 0.054431, n_tokens=1)

    def test_v1_stamps_that_were_never_taken(self):
        for missing, unknown in {
            "queued_ts": ["queue_time_ms"],
            "scheduled_ts": ["queue_time_ms", "prefill_time_ms"],
            "first_token_ts": ["prefill_time_ms", "decode_time_ms", "total_time_ms", "tpot_ms", "tps"],
            "last_token_ts": ["decode_time_ms", "total_time_ms", "tpot_ms", "tps"],
            "first_token_latency": ["ttft_ms", "total_time_ms", "tps"],
        }.items():
            row = row_of(output(metrics=v1(**{missing: 0.0})))
            self.assertEqual({name for name in row if row[name] is None}, set(unknown), missing)

    def test_v1_aborted(self):
        row = row_of(output(metrics=v1(first_token_ts=0.0, last_token_ts=0.0, num_generation_tokens=0), tokens=(0,)))
        self.near(row, queue_time_ms=None, prefill_time_ms=None, ttft_ms=None, total_time_ms=None, n_tokens=0)

    def test_several_sequences(self):
        row = row_of(output(metrics=v1(num_generation_tokens=20), tokens=(20, 12)))
        self.near(row, n_tokens=32, tpot_ms=261.212 / 19, tps=32 / 0.315643)

    def test_v0(self):
        row = row_of(output(metrics=v0(), tokens=(11,)))
        self.near(row, queue_time_ms=250, prefill_time_ms=250, decode_time_ms=1000, ttft_ms=500, total_time_ms=1750, tpot_ms=100,
                  tps=11 / 1.75)
        self.assertEqual(row["finished_at"], "2023-11-14T22:13:21.750000+00:00")

    def test_v0_stamps_that_were_never_taken(self):
        # last_token_time is the time of arrival until somebody asks for statistics
        self.near(row_of(output(metrics=v0(last_token_time=1.7e9))), decode_time_ms=1250, total_time_ms=1750)
        self.near(row_of(output(metrics=v0(time_in_queue=None))), queue_time_ms=250)
        row = row_of(output(metrics=v0(first_token_time=None)))
        self.near(row, prefill_time_ms=None, decode_time_ms=None, ttft_ms=None, total_time_ms=1750)
        row = row_of(output(metrics=v0(finished_time=None)))
        self.near(row, decode_time_ms=1000, total_time_ms=1500)

    def test_nothing_was_measured(self):
        row = row_of(output(metrics=None))
        self.near(row, prefill_time_ms=None, decode_time_ms=None, total_time_ms=None, n_tokens=40, prompt_tokens=26)
        self.assertRegex(row["finished_at"], r"^20\d\d-\d\d-\d\dT.*\+00:00$")

    def test_what_is_no_duration(self):
        for strange in (float("nan"), float("inf"), 1795514153.0, -1.0):
            self.assertIsNone(row_of(output(metrics=v1(first_token_latency=strange)))["ttft_ms"], strange)

    def test_labels(self):
        labels = row_of(output(), labels={"a": 1, "b": 2.5, "c": "x", "d": None, "e": True, "f": float("nan"), "g": "ö" * 300, "": 1})["labels"]
        self.assertEqual(labels, {"a": 1, "b": 2.5, "c": "x", "e": "True", "f": "nan", "g": "ö" * 128})
        self.assertEqual(len(row_of(output(), labels={str(i): i for i in range(50)})["labels"]), 16)
        self.assertNotIn("labels", row_of(output(), labels={}))

    def test_no_text(self):
        pooled = types.SimpleNamespace(request_id="0", finished=True, outputs=types.SimpleNamespace(data=[1]), prompt_token_ids=[1, 2])
        self.near(row_of(pooled), n_tokens=None, prompt_tokens=2, total_time_ms=None)


class Watchdog:
    """A watchdog that answers as it is told: each of answers is (status, headers, body); afterwards 200."""

    def __init__(self, answers=()):
        self.answers, self.posts, self.rows, self.lock = list(answers), [], [], threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.posts.append((self.path, self.headers["Content-Type"], body))
                    status, headers, answer = outer.answers.pop(0) if outer.answers else (200, {}, {})
                    if callable(answer):
                        answer = answer(body)
                    if status == 200:
                        outer.rows += body["requests"]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *a):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def nobody():
    """An address where nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "http://127.0.0.1:%d" % s.getsockname()[1]


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


class Posting(unittest.TestCase):
    def setUp(self):
        self.said = Lines()
        gpu_watchdog_rows.log.addHandler(self.said)
        gpu_watchdog_rows.log.propagate = False
        self.open = []

    def tearDown(self):
        for rows in self.open:
            rows.close(2)
        gpu_watchdog_rows.log.removeHandler(self.said)

    def rows(self, url, **options):
        rows = Rows(url, **options)
        rows.FIRST_PAUSE, rows.LONGEST_PAUSE = 0.01, 0.05
        self.open.append(rows)
        return rows

    def test_rows_and_labels_arrive(self):
        with Watchdog() as watchdog:
            rows = self.rows(watchdog.url, model="m")
            ids = rows.add([output("0", v1()), output("1", v1()), output("2", v1(), finished=False)], labels=[{"a": 1}, {"a": 2}, None])
            ids += rows.add(output("3", v1()), labels={"a": 3})
            self.assertTrue(rows.label("cmpl-abc", {"restaurant_id": 7}))
            self.assertTrue(rows.flush(10))
            self.assertEqual([row["request_id"] for row in watchdog.rows[:3]], ids)
            self.assertRegex(ids[0], r"^offline-[0-9a-f]{12}-0$")
            self.assertEqual([row["labels"] for row in watchdog.rows], [{"a": 1}, {"a": 2}, {"a": 3}, {"restaurant_id": 7}])
            self.assertEqual(watchdog.rows[3], {"request_id": "cmpl-abc", "labels": {"restaurant_id": 7}})
            self.assertEqual(watchdog.posts[0][:2], ("/v1/requests", "application/json"))
            self.assertEqual((rows.posted, rows.dropped, self.said.lines), (4, 0, []))

    def test_two_programs_have_different_ids(self):
        with Watchdog() as watchdog:
            first, second = self.rows(watchdog.url), self.rows(watchdog.url)
            self.assertNotEqual(first.add(output("0", v1())), second.add(output("0", v1())))

    def test_many_rows_come_in_batches(self):
        with Watchdog() as watchdog:
            rows = self.rows(watchdog.url)
            rows.add([output(str(i), v1()) for i in range(1001)])
            self.assertTrue(rows.flush(20))
            self.assertEqual(len({row["request_id"] for row in watchdog.rows}), 1001)
            self.assertLessEqual(max(len(body["requests"]) for _, _, body in watchdog.posts), Rows.BATCH)

    def test_it_comes_again(self):
        with Watchdog([(503, {"Retry-After": "0"}, {"error": "full"}), (503, {}, {}), (500, {}, {})]) as watchdog:
            rows = self.rows(watchdog.url)
            rows.add(output("0", v1()))
            self.assertTrue(rows.flush(10))
            self.assertEqual((len(watchdog.posts), rows.posted, rows.dropped), (4, 1, 0))
            self.assertEqual(watchdog.posts[0], watchdog.posts[3])

    def test_a_refused_row_does_not_spoil_the_others(self):
        def wrong(body):
            return {"error": "row 1: tps is wrong", "row": 1, "field": "tps"}

        with Watchdog([(400, {}, wrong)]) as watchdog:
            rows = self.rows(watchdog.url)
            rows.add([output(str(i), v1()) for i in range(3)])
            self.assertTrue(rows.flush(10))
            self.assertEqual([row["request_id"][-1] for row in watchdog.rows], ["0", "2"])
            self.assertEqual((rows.posted, rows.dropped), (2, 1))
            self.assertIn("row 1: tps is wrong", self.said.lines[0])

    def test_too_large_is_halved(self):
        with Watchdog([(413, {}, {})]) as watchdog:
            rows = self.rows(watchdog.url)
            rows.add([output(str(i), v1()) for i in range(5)])
            self.assertTrue(rows.flush(10))
            self.assertEqual(sorted(len(body["requests"]) for _, _, body in watchdog.posts), [2, 3, 5])
            self.assertEqual(rows.posted, 5)

    def test_a_refusal_is_final(self):
        for status, headers in ((403, {}), (404, {}), (302, {"Location": "http://127.0.0.1:1/"}), (413, {})):
            with Watchdog([(status, headers, {"error": "no"})]) as watchdog:
                rows = self.rows(watchdog.url)
                rows.add(output("0", v1()))
                self.assertTrue(rows.flush(10))
                self.assertEqual((len(watchdog.posts), rows.dropped), (1, 1), status)

    def test_nobody_answers(self):
        rows = self.rows(nobody(), give_up_seconds=0.2)
        before = time.monotonic()
        for i in range(100):
            rows.add(output(str(i), v1()))
        self.assertLess(time.monotonic() - before, 1)
        self.assertTrue(rows.flush(20))
        self.assertEqual((rows.posted, rows.dropped), (0, 100))
        self.assertEqual(len(self.said.lines), 1, self.said.lines)
        self.assertIn("no answer from", self.said.lines[0])

    def test_flush_does_not_wait_longer_than_told(self):
        rows = self.rows(nobody(), give_up_seconds=60)
        rows.add(output("0", v1()))
        before = time.monotonic()
        self.assertFalse(rows.flush(0.1))
        self.assertLess(time.monotonic() - before, 2)
        self.assertFalse(rows.close(5))
        self.assertEqual(rows.dropped, 1)
        self.assertEqual(rows.add(output("1", v1())), [])
        self.assertEqual(rows.dropped, 2)

    def test_a_full_queue_drops(self):
        rows = self.rows(nobody(), max_rows=10, give_up_seconds=60)
        before = time.monotonic()
        ids = rows.add([output(str(i), v1()) for i in range(1000)])
        self.assertLess(time.monotonic() - before, 2)
        self.assertEqual((len(ids), rows.dropped), (10, 990))
        self.assertEqual(len([line for line in self.said.lines if "rows are dropped" in line]), 1, self.said.lines)

    def test_nothing_raises(self):
        class Hostile:
            finished, request_id, outputs, prompt_token_ids = True, "0", [types.SimpleNamespace(token_ids=[1])], [1]

            @property
            def metrics(self):
                raise RuntimeError("no metrics")

        with Watchdog() as watchdog:
            rows = self.rows(watchdog.url)
            for strange in (None, 5, [None], object(), Hostile(), [output(metrics=object())], output(metrics=v1(first_token_ts="x"))):
                rows.add(strange)
            rows.add([output("0", v1()), output("1", v1())], labels=[{"a": 1}])
            rows.label("x", 5)
            rows.label("x", None)
            rows.add(output("2", v1()), labels={"a": object()})
            self.assertTrue(rows.flush(10))
            self.assertEqual(rows.dropped, 0)
            self.assertIn(True, ["could not be made" in line for line in self.said.lines])

    def test_metrics_that_are_off_are_mentioned_once(self):
        with Watchdog() as watchdog:
            rows = self.rows(watchdog.url)
            rows.add([output("0"), output("1")])
            self.assertTrue(rows.flush(10))
            self.assertEqual(len(watchdog.rows), 2)
            self.assertEqual(len(self.said.lines), 1)
            self.assertIn("disable_log_stats=False", self.said.lines[0])

    @unittest.skipUnless(hasattr(os, "fork"), "no fork here")
    def test_fork(self):
        with Watchdog() as watchdog:
            code = (
                "import os, sys, warnings; warnings.simplefilter('ignore'); sys.path.insert(0, %r)\n"
                "from gpu_watchdog_rows import Rows; from test_gpu_watchdog_rows import output, v1\n"
                "rows = Rows(%r); rows.add(output('0', v1())); rows.flush(10)\n"
                "pid = os.fork()\n"
                "rows.add(output('0', v1())); assert rows.flush(10)\n"
                "if pid: sys.exit(os.waitpid(pid, 0)[1])\n"
                "os._exit(0)\n" % (HERE, watchdog.url)
            )
            subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
            self.assertEqual(len(watchdog.rows), 3)
            self.assertEqual(len({row["request_id"] for row in watchdog.rows}), 2)  # the parent's own again, the child's anew

    def test_end_of_the_program(self):
        code = (
            "import sys; sys.path.insert(0, %r)\n"
            "from gpu_watchdog_rows import Rows; from test_gpu_watchdog_rows import output, v1\n"
            "rows = Rows(%r); rows.add([output(str(i), v1()) for i in range(500)])\n"
        )
        with Watchdog() as watchdog:
            # Neither a proxy in the environment nor a missing flush loses rows.
            subprocess.run([sys.executable, "-c", code % (HERE, watchdog.url)], check=True, timeout=60,
                           env={**os.environ, "http_proxy": nobody(), "HTTP_PROXY": nobody(), "no_proxy": "", "NO_PROXY": ""})
            self.assertEqual(len(watchdog.rows), 500)
        before = time.monotonic()
        end = subprocess.run([sys.executable, "-c", code % (HERE, nobody())], timeout=60, stderr=subprocess.PIPE)
        self.assertLess(time.monotonic() - before, 10)
        self.assertEqual(end.returncode, 0)
        self.assertNotIn(b"Traceback", end.stderr)


if __name__ == "__main__":
    unittest.main()
