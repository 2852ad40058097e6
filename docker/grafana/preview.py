#!/usr/bin/env python3
"""Draws the dashboard without Grafana: runs each of its queries on a Prometheus, and puts the panels where the dashboard has them.

    preview.py http://127.0.0.1:9090 dashboard.png [hours [directory]]

A picture of each panel goes into the directory, if one is given. Ends with 1 when a query has no data. Needs matplotlib;
`make dashboard-picture` brings it, and history to draw.
"""
import json
import math
import pathlib
import sys
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from PIL import Image

DASHBOARD = pathlib.Path(__file__).with_name("dashboards") / "memory.json"
RATE_INTERVAL = "1m"
DPI = 90
# Series that a legend below a panel names.
LEGEND = 8


def query(server, expression, hours, instant):
    for variable, value in (("$instance", ".*"), ("$operation", ".*"), ("$__rate_interval", RATE_INTERVAL)):
        expression = expression.replace(variable, value)
    now = int(time.time())
    if instant:
        call, times = "query", {"time": now}
    else:
        call, times = "query_range", {"start": now - hours * 3600, "end": now, "step": max(15, hours * 12)}
    url = f"{server}/api/v1/{call}?" + urllib.parse.urlencode({"query": expression, **times})
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["data"]["result"]


def legend(template, labels):
    for name, value in labels.items():
        template = template.replace("{{%s}}" % name, value)
    return template


def number(unit, value):
    if unit == "percentunit":
        return f"{value * 100:.4g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.4g} s"
    if unit == "bytes":
        for step in ("B", "KiB", "MiB", "GiB"):
            if abs(value) < 1024 or step == "GiB":
                return f"{value:.3g} {step}"
            value /= 1024
    if unit == "short":
        for step in ("", " K", " M"):
            if abs(value) < 1000 or step == " M":
                return f"{value:.3g}{step}"
            value /= 1000
    return f"{value:.3g}" + {"reqps": " req/s", "ops": " ops/s"}.get(unit, "")


def draw_stat(axes, panel, server):
    field = panel["fieldConfig"]["defaults"]
    target = panel["targets"][0]
    result = query(server, target["expr"], 1, True)
    axes.set_xticks([])
    axes.set_yticks([])
    if not result:
        axes.text(0.5, 0.5, "No data", ha="center", va="center", color="gray")
        return 1
    value = float(result[0]["value"][1])
    text = number(field["unit"], value)
    for mapping in field["mappings"]:
        text = mapping["options"].get(f"{value:g}", {}).get("text", text)
    if panel["options"]["textMode"] == "name":
        text = legend(target["legendFormat"], result[0]["metric"])
    color = [s["color"] for s in field["thresholds"]["steps"] if s["value"] is None or value >= s["value"]][-1]
    if panel["options"]["colorMode"] == "background":
        axes.set_facecolor({"green": "#2f8f4e", "red": "#c4162a", "orange": "#e0752d"}.get(color, color))
        axes.text(0.5, 0.5, text, ha="center", va="center", color="white", fontsize=14, weight="bold")
    else:
        axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=14, weight="bold")
    return 0


def draw_lines(axes, panel, server, hours):
    field = panel["fieldConfig"]["defaults"]
    series, empty = [], 0
    for target in panel["targets"]:
        result = query(server, target["expr"], hours, False)
        empty += not result
        for one in result:
            points = [(t, float(v)) for t, v in one["values"] if v != "NaN"]
            if points:
                series.append((legend(target["legendFormat"], one["metric"]), points))
    series.sort()
    base, highest = {}, 0
    for name, points in series:
        days = [t / 86400 for t, _ in points]
        values = [v for _, v in points]
        if field["custom"]["stacking"]["mode"] == "normal":
            below = [base.get(t, 0) for t, _ in points]
            values = [b + v for b, v in zip(below, values)]
            axes.fill_between(days, below, values, alpha=0.3)
            base.update({t: v for (t, _), v in zip(points, values)})
        highest = max(highest, *values)
        axes.plot(days, values, linewidth=1, label=f"{name}   {number(field['unit'], points[-1][1])}")
    if "thresholds" in field:
        for step in field["thresholds"]["steps"]:
            if step["value"] is not None:
                axes.axhline(step["value"], color=step["color"], linestyle="--", linewidth=0.8)
    # A line at zero is no reason for an axis of hundredths.
    top = field.get("max") or (None if highest else 1)
    axes.set_ylim(bottom=field["min"], top=top * 1.02 if top else None)
    if field["unit"] == "bytes" and highest:
        axes.yaxis.set_major_locator(MultipleLocator(2 ** max(0, math.ceil(math.log2(highest / 5)))))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: number(field["unit"], v)))
    axes.xaxis.set_major_formatter(matplotlib.dates.DateFormatter("%H:%M"))
    axes.xaxis.set_major_locator(matplotlib.dates.HourLocator(interval=max(1, round(hours / 6))))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.2)
    if series:
        if panel["options"]["legend"]["placement"] == "right":
            axes.legend(fontsize=6.5, loc="center left", bbox_to_anchor=(1.005, 0.5), ncol=1, frameon=False, labelspacing=0.3)
        else:
            # Grafana scrolls what does not fit.
            handles, labels = axes.get_legend_handles_labels()
            columns = 2 if max(map(len, labels)) < 32 else 1
            axes.legend(handles[:LEGEND], labels[:LEGEND], fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncol=columns, frameon=False, labelspacing=0.3)
            if len(labels) > LEGEND:
                axes.text(1, 1.03, f"and {len(labels) - LEGEND} more", ha="right", fontsize=6.5, color="gray", transform=axes.transAxes)
    else:
        axes.text(0.5, 0.5, "No data", ha="center", va="center", color="gray", transform=axes.transAxes)
    return empty


def main(server, picture, hours=6, directory=None):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    figure = plt.figure(figsize=(16, height * 0.42), facecolor="#f4f5f5")
    empty = 0
    for panel in panels:
        place = panel["gridPos"]
        left, bottom = place["x"] / 24, 1 - (place["y"] + place["h"]) / height
        width, tall = place["w"] / 24, place["h"] / height
        if panel["type"] == "row":
            figure.text(left + 0.005, bottom + tall * 0.3, panel["title"], fontsize=11, weight="bold")
            continue
        lines = panel["type"] == "timeseries"
        beside = lines and panel["options"]["legend"]["placement"] == "right"
        low, high = (0.1, 0.78) if beside else (0.28, 0.6) if lines else (0.08, 0.66)
        axes = figure.add_axes([left + 0.035 * lines + 0.005, bottom + tall * low, width * (0.76 if beside else 1) - 0.045 * lines - 0.01, tall * high])
        axes.set_title(panel["title"], fontsize=9, loc="left")
        empty += draw_lines(axes, panel, server, int(hours)) if lines else draw_stat(axes, panel, server)
    figure.savefig(picture, dpi=DPI)
    # A quarter of the bytes, and the same to the eye.
    image = Image.open(picture).convert("RGB").quantize(64)
    image.save(picture, optimize=True)
    drawn = [p for p in panels if p["type"] != "row"]
    if directory:
        pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
        wide, tall = image.width / 24, image.height / height
        for panel in drawn:
            x, y, w, h = (panel["gridPos"][name] for name in "xywh")
            image.crop((int(x * wide), int(y * tall), int((x + w) * wide), int((y + h) * tall))).save(pathlib.Path(directory) / f"{panel['id']}.png")
    print(f"{picture}: {len(drawn)} panels, {empty} queries without data")
    return empty > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
