"""Makes index.html of a verification document: one file that needs no network. Templates, style and
script are in page/."""

import collections
import functools
import json
import pathlib
import re

import jinja2
import markupsafe
import pygments
import pygments.formatters
import pygments.lexers

import writers
from build import MUTATED

HERE = pathlib.Path(__file__).resolve().parent / "page"
D3 = pathlib.Path("/usr/share/nodejs/d3/dist/d3.min.js")  # Debian: node-d3


@functools.lru_cache
def highlighted(text):
    formatter = pygments.formatters.HtmlFormatter(nowrap=True)
    return pygments.highlight(text, pygments.lexers.CppLexer(stripnl=False, ensurenl=False),
                              formatter).split("\n")


def kill_matrix(document):
    """For each file its lines, each with what was changed there and who noticed."""
    mutants = collections.defaultdict(list)
    for check in document["checks"]:
        if check["kind"] == "mutant" and check.get("line"):
            mutants[check["file"], check["line"]].append(check)
    orders = {(row.get("file"), row.get("line")): row["label"] for row in document["orders"]}
    files = []
    for file, text in document["sources"].items():
        lines, totals = [], collections.Counter()
        for number, html in enumerate(highlighted(text), 1):
            mine = mutants.get((file, number), [])
            states = collections.Counter(check["state"] for check in mine)
            totals.update(states)
            totals["lines"] += bool(mine)
            totals["open"] += bool(states["cut"] or states["failed"])
            suites = collections.Counter(
                check["suite"] for check in mine if check["state"] == "passed")
            lines.append({
                "number": number, "html": html, "states": states, "mutants": len(mine),
                "state": next((s for s in ("failed", "cut", "argued", "passed") if states[s]), ""),
                "suites": suites.most_common(), "order": orders.get((file, number), "")
            })
        files.append({"file": file, "lines": lines, "totals": totals, "mutated": file in MUTATED})
    return sorted(files, key=lambda entry: (not entry["mutated"], entry["file"]))


def wakes(step):
    """The lanes whose next step it makes possible."""
    return step.get("others", []) if step.get("operation") in ("notify_one", "notify_all",
                                                               "start_thread") else []


def packed(document):
    """What the script needs, small: steps are rows of numbers that point into tables of texts and
    files."""
    texts, files = {}, {}

    def place(table, value):
        return table.setdefault(value, len(table))

    counterexamples = []
    for entry in document["counterexamples"]:
        steps = [[-1, step["left_out"]] if "left_out" in step else
                 [step["lane"], place(texts, step["text"]), place(files, step.get("file", "")),
                  step.get("line", 0), step.get("reads_from", -1), int(step.get("stale", False)),
                  wakes(step)] for step in entry["steps"]]
        fields = ("id", "check", "purpose", "replay", "failure", "message", "file", "line", "lanes",
                  "standing", "preemptions", "suite", "change", "text", "properties",
                  "fewest_preemptions")
        shown = {key: entry[key] for key in fields if entry.get(key) not in (None, "", [])}
        counterexamples.append({**shown, "steps": steps})
    checks = [[
        check["id"], check["name"], check["kind"], check["state"],
        check.get("counterexample"),
        check.get("seconds"),
        check.get("file"),
        check.get("line"),
        check.get("suite"), check["message"] if check["state"] != "passed" else ""
    ] for check in document["checks"]]
    return {
        "texts": list(texts), "files": list(files), "counterexamples": counterexamples,
        "checks": checks, "comparison": document["comparison"], "verdict": document["verdict"]
    }


def coverage(document):
    """Events that suites must reach, and what searches met."""
    events, totals = [], collections.Counter()
    for check in document["checks"]:
        if check["kind"] != "scenario":
            continue
        for key in ("stale_reads", "spurious_wakeups", "timeouts", "executions_complete",
                    "executions_redundant"):
            totals[key] += check.get("numbers", {}).get(key, 0)
        for cover in check.get("covers", []):
            events.append({"suite": check["name"], **cover})
    by_event = collections.defaultdict(lambda: {"suites": 0, "occurred": 0, "absent": 0})
    for cover in events:
        row = by_event[cover["event"]]
        row["suites"] += 1
        row["occurred"] += cover["occurred"]
        row["absent"] += cover["absent"]
    return {"totals": totals, "events": sorted(by_event.items())}


def changes(history):
    """The newest report against the one before it."""
    if len(history) < 2:
        return None
    old, new = history[-2], history[-1]
    found = {"since": old, "now": new, "worse": [], "better": [], "added": 0, "gone": 0}
    for name, state in new["checks"].items():
        before = old["checks"].get(name)
        if before is None:
            found["added"] += 1
        elif before != state:
            found["better" if state == "passed" else "worse"].append((name, before, state))
    found["gone"] = sum(name not in new["checks"] for name in old["checks"])
    return found


def compilers(environment):
    """Name and version of each, from the first lines of their --version."""
    lines = [environment[name] for name in ("compiler", "clang", "clang-19") if name in environment]
    return ", ".join(
        " ".join(re.findall(r"clang|g\+\+|\d+\.\d+\.\d+$|\d+\.\d+\.\d+(?= )", line)[:2])
        for line in lines)


def prose(text):
    """Markdown's `code` in a sentence."""
    return markupsafe.Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(markupsafe.escape(text))))


def render(document, history):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(count=writers.count, duration=writers.duration, prose=prose)
    checks, counterexamples = writers.by_id(document)
    data = {
        **packed(document), "history":
            [{key: e[key] for key in ("generated", "commit", "verdict", "parts", "states")}
             for e in history]
    }
    return environment.get_template("index.html").render(
        d=document, check=checks, counterexample=counterexamples, marks=writers.MARKS,
        headline=writers.headline(document), compilers=compilers(document["environment"]),
        columns=writers.COLUMNS, cell=writers.cell, numbers_of=writers.numbers_of,
        remark=writers.remark, files=kill_matrix(document), coverage=coverage(document),
        changes=changes(history), story=writers.story, kinds_not_run={
            kind: all(c["state"] == "not_run" for c in document["checks"] if c["kind"] == kind)
            for kind, _ in writers.COLUMNS
        }, data=json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c"),
        style=(HERE / "style.css").read_text(), script=(HERE / "script.js").read_text(),
        d3=D3.read_text().replace("</script", "<\\/script"))
