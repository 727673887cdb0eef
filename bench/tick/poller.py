#!/usr/bin/env python3
"""What one would write without gpu-watchdog: every INTERVAL seconds read vLLM's page and the GPUs, and print a JSON line.

    poller.py INTERVAL URL LIBRARY

The page is fetched over one kept connection (requests) and parsed (prometheus_client). The GPUs are asked through ctypes
with the calls that gpu-watchdog makes: samples since the last one seen and utilisation at every tick, memory, power and
energy where those in hand are older than four seconds. Whoever finds it slow: this is the plain way, not a slow one.
"""
import ctypes
import json
import sys
import time

import requests
from prometheus_client.parser import text_string_to_metric_families

GPU_UTILIZATION_SAMPLES = 1
FIGURES_EVERY = 4.0
COUNTERS = {
    "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:request_success_total",
    "vllm:time_to_first_token_seconds_count", "vllm:inter_token_latency_seconds_count", "vllm:iteration_tokens_total_count",
    "vllm:num_preemptions_total", "vllm:prefix_cache_queries_total", "http_requests_total",
}
GAUGES = {"vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"}


class Value(ctypes.Union):
    _fields_ = [("d", ctypes.c_double), ("ui", ctypes.c_uint), ("ull", ctypes.c_ulonglong)]


class Sample(ctypes.Structure):
    _fields_ = [("stamp", ctypes.c_ulonglong), ("value", Value)]


class Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class GPU:
    def __init__(self, lib, index):
        self.lib, self.handle, self.seen, self.figures, self.figures_at = lib, ctypes.c_void_p(), 0, {}, 0.0
        check(lib.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(self.handle)))

    def samples(self):
        kind, n = ctypes.c_int(), ctypes.c_uint()
        after = ctypes.c_ulonglong(self.seen)
        code = self.lib.nvmlDeviceGetSamples(self.handle, GPU_UTILIZATION_SAMPLES, after, ctypes.byref(kind), ctypes.byref(n), None)
        if code != 0:
            return []
        ring = (Sample * n.value)()
        code = self.lib.nvmlDeviceGetSamples(self.handle, GPU_UTILIZATION_SAMPLES, after, ctypes.byref(kind), ctypes.byref(n), ring)
        if code != 0 or n.value == 0:
            return []
        new = ring[: n.value]
        self.seen = new[-1].stamp
        return [s.value.ui for s in new]

    def read(self, now):
        rates = Utilization()
        out = {"samples": self.samples()}
        check(self.lib.nvmlDeviceGetUtilizationRates(self.handle, ctypes.byref(rates)))
        out["gpu"], out["memory_rate"] = rates.gpu, rates.memory
        if now - self.figures_at >= FIGURES_EVERY:
            memory, power, energy = Memory(), ctypes.c_uint(), ctypes.c_ulonglong()
            check(self.lib.nvmlDeviceGetMemoryInfo(self.handle, ctypes.byref(memory)))
            check(self.lib.nvmlDeviceGetPowerUsage(self.handle, ctypes.byref(power)))
            check(self.lib.nvmlDeviceGetTotalEnergyConsumption(self.handle, ctypes.byref(energy)))
            self.figures = {"used": memory.used, "total": memory.total, "watts": power.value / 1000, "joules": energy.value / 1000}
            self.figures_at = now
        return out | self.figures


def check(code):
    if code != 0:
        raise SystemExit(f"NVML answers {code}")


def page(session, url):
    answer = session.get(url + "/metrics", timeout=2)
    answer.raise_for_status()
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            if sample.name in COUNTERS or sample.name in GAUGES:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def main():
    interval, url, library = float(sys.argv[1]), sys.argv[2], sys.argv[3]
    lib = ctypes.CDLL(library)
    check(lib.nvmlInit_v2())
    n = ctypes.c_uint()
    check(lib.nvmlDeviceGetCount_v2(ctypes.byref(n)))
    gpus = [GPU(lib, i) for i in range(n.value)]
    session = requests.Session()
    due = time.monotonic()
    while True:
        now = time.monotonic()
        line = {"ts": time.time(), "vllm": page(session, url), "gpus": [g.read(now) for g in gpus]}
        print(json.dumps(line), flush=True)
        due += interval
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
