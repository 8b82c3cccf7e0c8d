"""One page of charts of a benchmark document, self-contained: matplotlib's SVG in HTML."""

import html as markup
import io
import math
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as pyplot  # noqa: E402  after the choice of its backend

OURS, PEER, FLOOR, BAD = "#2f7ed8", "#9a9a9a", "#4a9b5f", "#c8553d"
INK = "#808080"  # readable on light and dark

STYLE = """
:root { color-scheme: light dark;
  --ink: #1c1c1c; --paper: #ffffff; --line: #d8d8d8; --soft: #6a6a6a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --paper: #181818; --line: #3a3a3a; --soft: #9a9a9a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
td, th { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; }
td.n, th.n { text-align: right; white-space: nowrap; }
.met { color: #2e8b57; } .accepted { color: #b8860b; } .missed { color: #c8553d; }
.scroll { overflow-x: auto; } figure { margin: 1.5rem 0; } svg { max-width: 100%; height: auto; }
.soft { color: var(--soft); }
"""


def svg(figure):
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, bbox_inches="tight",
                   metadata={"Date": None})
    pyplot.close(figure)
    return re.sub(r"^.*?(?=<svg)", "", out.getvalue(), flags=re.S)


def plain(axes):
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def goals_chart(goals):
    """Each goal's interval as a multiple of its limit, so that all of them have one scale: left of
    1 is met."""
    shown = [goal for goal in reversed(goals) if goal["limit"] > 0 and math.isfinite(goal["high"])]
    figure, axes = pyplot.subplots(figsize=(9, 0.26 * len(shown) + 0.8))
    for row, goal in enumerate(shown):
        colour = FLOOR if goal["met"] else BAD
        low, middle, high = (goal[key] / goal["limit"] for key in ("low", "ratio", "high"))
        axes.plot([low, high], [row, row], color=colour, linewidth=2)
        axes.plot(middle, row, "o", color=colour, markersize=4)
    axes.axvline(1, color=INK, linewidth=1)
    axes.axvline(1.1, color=INK, linewidth=1, linestyle=":")
    axes.set_xscale("log")
    axes.set_yticks(
        range(len(shown)),
        [f"{goal['name']}{' ÷ ' + goal['against'] if goal['against'] else ''}" for goal in shown])
    axes.set_xlabel("ratio ÷ limit (dotted: the tenth that is tolerated)")
    plain(axes)
    return svg(figure)


def workload_chart(workload):
    rows = [row for row in reversed(workload["subjects"])]
    figure, axes = pyplot.subplots(figsize=(9, 0.3 * len(rows) + 0.7))
    for index, row in enumerate(rows):
        colour = OURS if row["name"] == "kstone" else FLOOR if row["name"] == "floor" else PEER
        axes.plot([row["min"], row["max"]], [index, index], color=colour, linewidth=1.5, alpha=0.6)
        axes.plot(row["median"], index, "o", color=colour, markersize=6)
        axes.annotate(f"{row['median']:,.3g}" if row["median"] < 1000 else f"{row['median']:,.0f}",
                      (row["median"], index), textcoords="offset points", xytext=(0, 6),
                      ha="center", fontsize=8, color=INK)
    if all(row["min"] > 0 for row in rows) and max(row["max"]
                                                   for row in rows) > 20 * min(row["min"]
                                                                               for row in rows):
        axes.set_xscale("log")
    elif all(row["min"] >= 0 for row in rows):
        axes.set_xlim(left=0)
    axes.set_ylim(-0.6, len(rows) - 0.2)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_xlabel(workload["unit"])
    plain(axes)
    return svg(figure)


def growth_chart(family, workloads):
    """Costs over sizes, the worker's and the floor's."""
    figure, axes = pyplot.subplots(figsize=(9, 2.6))
    sizes = [int(workload["name"].rsplit("/", 1)[1]) for workload in workloads]
    for name, colour in (("kstone", OURS), ("floor", FLOOR)):
        rows = [
            next(row for row in workload["subjects"] if row["name"] == name)
            for workload in workloads
        ]
        axes.plot(sizes, [row["median"] for row in rows], "o-", color=colour, label=name)
        axes.fill_between(sizes, [row["min"] for row in rows], [row["max"] for row in rows],
                          color=colour, alpha=0.15)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("stripes")
    axes.set_ylabel("ns")
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    plain(axes)
    return svg(figure)


def goal_row(goal):
    accepted = goal["accepted"] and not goal["regressed"]
    state = "met" if goal["met"] else "accepted" if accepted else "missed"
    word = {"met": "met", "accepted": "not met", "missed": "not met"}[state]
    cells = [
        markup.escape(goal["name"]),
        markup.escape(goal["against"]), f"{goal['ratio']:.3g}",
        f"{goal['low']:.3g} to {goal['high']:.3g}", f"{goal['limit']:g}", word,
        markup.escape(goal["reason"])
    ]
    classes = ["", "", "n", "n", "n", state, "soft"]
    return "<tr>" + "".join(f'<td class="{name}">{cell}</td>'
                            for name, cell in zip(classes, cells)) + "</tr>"


def html(document):
    machine = document["machine"]
    families = {}
    for workload in document["workloads"]:
        match = re.fullmatch(r"W7/(\w+)/\d+", workload["name"])
        families.setdefault(match.group(1) if match else workload["name"], []).append(workload)
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
        f"content='width=device-width, initial-scale=1'><title>kstone: "
        f"benchmarks</title><style>{STYLE}</style><h1>kstone: benchmarks</h1>",
        f"<p class=soft>{markup.escape(machine['date'])}, {markup.escape(machine['processor'])}, "
        f"{machine['cores']} cores, Linux {markup.escape(machine['kernel'])}, "
        f"{markup.escape(machine['compiler'])}; load before: {machine['load_before']:.2f}; "
        f"{document['seconds']} s.</p>"
    ]
    met = sum(goal["met"] for goal in document["goals"])
    if document["goals"]:
        parts.append(
            f"<h2>Goals: {met} of {len(document['goals'])} met</h2><p>A ratio of the worker's "
            f"figure to another's, taken round by round in one run: the median and its 95 % "
            f"bootstrap interval. Lower is better.</p><div "
            f"class=scroll><table><tr><th>goal<th>against<th class=n>ratio<th class=n>interval<th "
            f"class=n>limit<th><th></tr>"
            + "".join(goal_row(goal) for goal in document["goals"]) + "</table></div>")
        if any(goal["limit"] > 0 for goal in document["goals"]):
            parts.append(f"<figure>{goals_chart(document['goals'])}</figure>")
    parts.append(
        "<h2>Workloads</h2><p class=soft>Median, and the range of all repetitions. Lower is "
        "better.</p>")
    for family, workloads in families.items():
        first = workloads[0]
        if len(workloads) > 1:
            parts.append(
                f"<h3>W7 "
                f"{markup.escape(family)}</h3><figure>{growth_chart(family, workloads)}</figure>")
            continue
        lacks = "; ".join(
            f"{row['name']}: {row['lacks']}" for row in first["subjects"] if row["lacks"])
        parts.append(
            f"<h3>{markup.escape(first['name'])}</h3><p>{markup.escape(first['title'])} "
            f"({markup.escape(first['unit'])})</p><figure>{workload_chart(first)}</figure><p "
            f"class=soft>{markup.escape(lacks)}</p>")
    return "".join(parts) + "</html>\n"
