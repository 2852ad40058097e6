#!/usr/bin/env python3
"""Writes hours of made-up history of the metrics in metrics.prom, as OpenMetrics for `promtool tsdb create-blocks-from openmetrics`,
so that docker/grafana/preview.py has something to draw.

    history.py [hours] > history.om

Load follows a wave; in the last third searches are slow, then errors rise and the worker stops for a while.
"""
import math
import pathlib
import re
import sys
import time

STEP = 15
OPERATIONS = {
    "search": 9, "add": 4, "get": 3, "context": 1.5, "playbook": 0.8, "vote": 1.2, "kv_get": 2, "kv_set": 0.7, "update": 0.5,
    "delete": 0.1, "delta": 0.2, "reflect": 0.15, "curate": 0.01, "handoff": 0.05, "session_update": 0.3, "run_complete": 0.2,
    "run_start": 0.2, "feature_update": 0.1, "session_start": 0.05,
}


def main(hours=6):
    base = (pathlib.Path(__file__).parent / "metrics.prom").read_text()
    steps = int(hours * 3600 / STEP)
    start = int(time.time()) - steps * STEP
    families = {}
    for line in base.splitlines():
        if line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            families[name] = (kind, [])
        elif not line.startswith("#"):
            name = re.match(r"[a-z_]+", line)[0]
            family = next(f for f in families if name == f or name in (f + "_bucket", f + "_sum", f + "_count"))
            series, value = line.rsplit(" ", 1)
            families[family][1].append((series, float(value)))

    def load(i):
        return 1 + 0.5 * math.sin(i / steps * 9) + 0.15 * math.sin(i / 7)

    total = [0.0]
    for i in range(steps):
        total.append(total[-1] + load(i) * STEP)
    slow = lambda i: 0.66 < i / steps < 0.75
    failing = lambda i: 0.75 < i / steps < 0.82
    stopped = lambda i: 0.85 < i / steps < 0.93
    bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
    out = []

    def put(series, values):
        labels = 'job="memory",instance="db"'
        series = series[:-1] + "," + labels + "}" if series.endswith("}") else series + "{" + labels + "}"
        out.extend(f"{series} {value:.6g} {start + i * STEP}" if value < 1e6 else f"{series} {value:.0f} {start + i * STEP}" for i, value in enumerate(values))

    for name, (kind, rows) in families.items():
        short = name.removesuffix("_total") if kind == "counter" else name
        out.append(f"# TYPE {short} {kind}")
        if name == "memory_operations_total":
            for operation, rate in OPERATIONS.items():
                ok, error = [], []
                failed = 0.0
                for i in range(steps):
                    failed += rate * load(i) * STEP * (0.09 if failing(i) else 0.002)
                    ok.append(rate * total[i])
                    error.append(failed)
                put(f'{name}{{operation="{operation}",status="ok"}}', ok)
                put(f'{name}{{operation="{operation}",status="error"}}', error)
        elif name == "memory_operation_duration_seconds":
            for k, (operation, rate) in enumerate(OPERATIONS.items()):
                typical = 0.0015 * (1 + k % 5)
                counts = {bound: 0.0 for bound in bounds}
                columns = {bound: [] for bound in bounds}
                for i in range(steps):
                    middle = typical * (60 if slow(i) and operation == "search" else 1)
                    for bound in bounds:
                        share = 1 / (1 + math.exp(-2.2 * math.log(bound / middle)))
                        counts[bound] += share * rate * load(i) * STEP
                        columns[bound].append(counts[bound])
                for bound in bounds:
                    put(f'{name}_bucket{{operation="{operation}",le="{bound:g}"}}', columns[bound])
                put(f'{name}_bucket{{operation="{operation}",le="+Inf"}}', [rate * total[i + 1] for i in range(steps)])
                put(f'{name}_sum{{operation="{operation}"}}', [rate * total[i + 1] * typical * 1.4 for i in range(steps)])
                put(f'{name}_count{{operation="{operation}"}}', [rate * total[i + 1] for i in range(steps)])
        elif kind == "counter":
            for series, value in rows:
                put(series, [value / 5000 * total[i] * (0 if "worker" in name and stopped(i) else 1) if "worker" not in name
                             else value / 60 * (min(i, int(steps * 0.85)) if i < steps * 0.93 else i - steps * 0.08) / 4 for i in range(steps)])
        else:
            for series, value in rows:
                if name == "memory_worker_last_run_timestamp_seconds":
                    put(series, [start + STEP * (int(steps * 0.85) if stopped(i) else i) - 20 for i in range(steps)])
                elif name.endswith("timestamp_seconds") or name.endswith("start_time_seconds"):
                    put(series, [start - 300] * steps)
                elif name == "memory_expired_backlog":
                    put(series, [8 + 90 * max(0, i / steps - 0.85) * steps if stopped(i) else 8 for i in range(steps)])
                elif name == "memory_embedding_backlog":
                    put(series, [max(0, round(40 * math.sin(i / 90))) for i in range(steps)])
                elif name == "memory_recall_ratio":
                    put(series, [0.985 + 0.008 * math.sin(i // 240) for i in range(steps)])
                elif name in ("memory_rows", "memory_table_bytes", "memory_index_bytes"):
                    put(series, [value * (0.8 + 0.2 * total[i] / total[-1]) for i in range(steps)])
                elif name == "memory_dead_rows":
                    put(series, [value * (1 + i % 480 / 60) for i in range(steps)])
                elif name in ("memory_db_connections", "memory_unsealed_rows"):
                    put(series, [round(value * load(i) * (5 if failing(i) else 1)) for i in range(steps)])
                else:
                    put(series, [value] * steps)
    print("\n".join(out), "# EOF", sep="\n")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
