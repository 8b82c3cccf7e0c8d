"""scripts/verify model: every scenario in full, the soundness comparison, the litmus table, the
weakening; and one sentence for each about what was covered. scripts/verify try: the suites against
sources that somebody changed."""

import collections
import json
import os
import pathlib
import re
import shutil
import time

from build import (MUTATED, ROOT, Builder, Failed, Suites, Tree, in_parallel, is_cut, last_line,
                   one_at_a_time, run)
from evidence import property_sections
import lanes
from left_out import left_out
from mutation import Log, merge_into_model_json
from pace import Share
import weakening

PROGRAMS = 5000
PARTS = ["litmus", "scenarios", "comparison", "soundness", "weakening"]
EXECUTABLES = [
    "model_worker", "model_kernels", "model_litmus", "model_relacy_search", "model_soundness"
]

LEFT_OUT = left_out()


# What an optimal checker for C takes (reads-from equivalence, RC11) for its rendering of the
# one-word kernel: complete and blocked executions. Measured elsewhere; the kernels are the same in
# design, not step for step.
OPTIMAL = {"one_word_1_1": (40, 9), "one_word_2_1": (784, 215), "one_word_1_2": (3552, 2316),
           "one_word_3_1": (37488, 15615), "one_word_2_2": (702336, 535400)}

# Scenarios of the worker itself beside the search without any reduction.
COMPARED = [
    "request_then_idle_1_1", "request_then_idle_2_1", "request_then_idle_2_1_two_stripes",
    "request_then_idle_1_2", "request_then_idle_3_1", "request_then_idle_2_2",
    "request_twice_then_idle_2_1", "request_against_drain_2_1"
]
WALKS = 100_000
# Of a quick run: how many suites there are, what each takes before it searches, and the least that
# each gets to search; what 300 programs and the comparison take; and the longest of the other
# searches (pace.py has the unit).
SUITES, SUITE_SECONDS, LEAST_SECONDS = 280, 0.05, 0.25
SOUNDNESS_SECONDS, COMPARISON_SECONDS, QUICK_EXECUTIONS = 12, 8, 100_000


def add_arguments(parts):
    parser = parts.add_parser(
        "model", help="scenarios, soundness, weakening",
        description="Builds the model checker and runs all of it. Exit status 0 if every suite is "
                    "proved (or refuted, where it must be), every comparison equal and every "
                    "weakening caught or argued for; unknown is red.")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "verify")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "test",
                        help="of the CMake preset `test`")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--quick-seconds", type=float, default=20,
                        help="first try, one process for each suite (20)")
    parser.add_argument("--seconds", type=float, default=900,
                        help="second try, all processes for one suite; 0 for none (900)")
    parser.add_argument("--only", action="append", default=[], choices=PARTS,
                        help="leave the other parts out; they show as not run")
    parser.add_argument("--programs", type=int, default=PROGRAMS,
                        help=f"of the soundness comparison ({PROGRAMS})")
    parser.add_argument("--walks", type=int, default=WALKS,
                        help=f"of each estimate of another search's size ({WALKS})")
    parser.set_defaults(run=main)
    parser = parts.add_parser(
        "try", help="the quick suites against changed sources",
        description="Compiles the worker as it stands and runs the suites until one is red; prints "
                    "the interleaving and the line that replays it. For those who break the worker "
                    "by hand, to see who notices.")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "verify" / "try")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seconds", type=float, default=10, help="for one suite (10)")
    parser.add_argument("suites", nargs="*", help="suites; by default all, the quickest first")
    parser.set_defaults(run=try_out)


def build(arguments, log, executables):
    """The CMake targets; the names of those that are missing."""
    with one_at_a_time(arguments.build / "build.lock"):  # scripts/test builds there, too
        return build_alone(arguments, log, executables)


def build_alone(arguments, log, executables):
    log("building with the CMake preset `test`")
    status, output = run(["cmake", "--preset", "test", "-B", str(arguments.build)], cwd=ROOT)
    if status != 0:
        raise Failed(output[-4000:])
    status, output = run(["cmake", "--build", str(arguments.build), "--target", "help"], cwd=ROOT)
    missing = [name for name in executables if f" {name}\n" not in output + "\n"]
    present = [name for name in executables if name not in missing]
    status, output = run([
        "cmake", "--build",
        str(arguments.build), "--parallel",
        str(arguments.jobs), "--target", *present
    ], cwd=ROOT)
    if status != 0:
        raise Failed(output[-4000:])
    return missing


def executable(arguments, name):
    return next(
        (path
         for path in arguments.build.rglob(name) if path.is_file() and os.access(path, os.X_OK)),
        None)


def fit(arguments, share, log):
    """Sizes of a quick run that the rest of its share is enough for. Half of it is the scenarios':
    each takes a fixed time, and about a third of them all that they may. Then come weakening,
    soundness, and what tells the least."""
    half = share.left() / 2 * arguments.jobs
    seconds = (half / SUITES - SUITE_SECONDS * share.pace) * 3
    arguments.quick_seconds = round(min(arguments.quick_seconds, max(LEAST_SECONDS, seconds)), 2)
    if not share.holds(SOUNDNESS_SECONDS, of=0.3):
        arguments.programs = min(arguments.programs, 100)
    if not share.holds(COMPARISON_SECONDS, of=0.2):
        arguments.walks = min(arguments.walks, 1000)
    log(f"{arguments.quick_seconds:g} s for a suite, {arguments.programs} programs, "
        f"{arguments.walks:,} walks: sizes for a machine that takes {share.pace:.1f} times as long "
        f"as the one of docs/verification.md")


def explore(arguments, log, name, tried, save=lambda rows: None):
    """Every suite of one executable: first each alone, then what is left, one after the other, with
    all processes. `tried` keeps what the first try said; `save` is told what there is in
    between."""
    suites = Suites(executable(arguments, name), arguments.output)
    known = suites.names()
    log(f"{name}: {len(known)} suites")
    done = {}

    def first(entry):
        result = suites.run(entry[0], arguments.quick_seconds, minimize=True)
        done[entry[0]] = tried[entry[0]] = result
        if result["outcome"] not in ("green", "unfinished"):
            log(f"RED {entry[0]}: {result['outcome']}: {result['message']}")

    in_parallel(arguments.jobs, first, known)
    save(judged(arguments, name, known, done)[0])
    left = [entry for entry in known if done[entry[0]]["outcome"] == "unfinished"]
    log(f"{name}: {len(left)} take longer than {arguments.quick_seconds:g} s: " +
        " ".join(entry[0] for entry in left))
    for entry in left if arguments.seconds else []:
        done[entry[0]] = suites.run(entry[0], arguments.seconds,
                                    ["--jobs", str(arguments.jobs)], minimize=True)
        counts = done[entry[0]].get("entry", {})
        log(f"  {entry[0]}: {counts.get('verdict', done[entry[0]]['outcome'])}, "
            f"{counts.get('executions_complete', 0)} executions, {done[entry[0]]['seconds']} s "
            f"{done[entry[0]]['message']}")
    return judged(arguments, name, known, done)


def judged(arguments, name, known, done):
    """The rows of the results, and what is red."""
    rows, red = [], []
    for entry_name, property_, must_fail in known:
        result = done[entry_name]
        # it crashed or did not answer: what it is, it cannot say
        row = {
            **result["entry"]
        } if result.get("entry") else {
            "name": entry_name, "property": property_, "must_fail": must_fail, "verdict": "unknown",
            "green": False, "reason": f"{result['outcome']}: {result['message']}",
            "executions_complete": 0, "executions_redundant": 0, "exhaustive": False,
            "seconds": result["seconds"],
            **dict.fromkeys(("requesters", "workers", "threads", "bound", "stale_depth",
                             "spurious"))
        }
        row["executable"] = name
        row.pop("sites", None)
        row["explored_seconds"] = result["seconds"]
        rows.append(row)
    if name == "model_worker":
        red += without_event(rows) + without_neighbour(rows)
    by_name = {row["name"]: row for row in rows}
    for row in rows:
        stand_ins = (row.get("fallback") or "").split()
        # Too large, as declared, and all that stand in for it are proved: each is shown, and none
        # is called the other. An error of the scenario or the checker is no size, and nothing
        # stands in for it.
        replaced = stand_ins and is_cut(row) and all(name in by_name and by_name[name]["green"]
                                                     for name in stand_ins)
        row["stands_in"] = " and ".join(stand_ins) if replaced else None
        if not row["green"] and row["stands_in"] is None:
            red.append(
                f"{row['name']}: {row['verdict']} {row.get('message', '')} {row.get('why', '')} "
                f"{row.get('reason', '')}")
        if row.get("steps"):
            folder = arguments.output / "histories"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{row['name']}.txt"
             ).write_text(f"{row['name']}: {lanes.told(row)}\nreplay: {row['replay']}\n")
    return rows, red


def without_event(rows):
    """A property is vacuous if what it is about, as docs/properties.md names it, does not happen in
    some executions, and not in others, of a suite of it."""
    shown = collections.defaultdict(set)
    for row in rows:
        if not row["must_fail"]:
            for name in row["property"].split():
                shown[name].update(cover["event"] for cover in row.get("covers", [])
                                   if cover["occurred"] and cover["absent"])
    wanted = {
        entry["id"]: entry["has_to_happen"]
        for entry in property_sections(ROOT / "docs" / "properties.md")
    }
    # What was cut may have it further on: then the suite that was cut says so.
    cut = {
        name for row in rows if is_cut(row) and not row["must_fail"]
        for name in row["property"].split()
    }
    return [
        f"{name} is vacuous: no suite of it has the event '{event}' in some executions and not in "
        f"others"
        for name in shown if name not in cut
        for event in wanted.get(name) or ["(docs/properties.md names none)"]
        if event not in shown[name]
    ]


def without_neighbour(rows):
    """A property that no suite which must fail names, and does fail as it must: that a suite of it
    would notice is not shown."""
    properties, shown, cut = set(), set(), set()
    for row in rows:
        if row["must_fail"] and is_cut(row):
            cut.update(row["property"].split())
        (shown if row["must_fail"] and row["green"] else properties).update(row["property"].split())
    return [
        f"{name} has no neighbour that must fail, and does for its reason"
        for name in sorted(properties - shown - cut)
    ]


def statement(rows):
    """What was covered, from the results alone."""
    lines = [
        "# What was explored", "",
        "Generated with the results. \"No bound\" speaks of preemptions; the limits of the last "
        "paragraph hold for every row.",
        "In brackets behind a limit: in how many of the executions it happened; a spurious wake-up "
        "can where somebody waits on a condition variable.", "",
        "| Suite | Property | Threads | Executions (redundant) | Search | Stale depth | Spurious | "
        "Weak CAS | Timeouts | Refused threads | Longest | Verdict "
        "|", "|---|---|---|---|---|---|---|---|---|---|---|---|"
    ]
    for row in rows:
        search = "no bound" if row.get("exhaustive") else row.get("mode", "?")
        if not row.get("exhaustive") and row.get("bound") is not None:
            search = f"within {row['bound']} preemptions"
        verdict = row["verdict"] + (f" ({row['failure']}), as it must be"
                                    if row.get("must_fail") and row["green"] else "")
        if row.get("stands_in"):
            verdict += f"; in its place: {row['stands_in']}"
        lines.append(
            f"| {row['name']} | {row['property']} | {row.get('threads', '?')} | "
            f"{row['executions_complete']} ({row['executions_redundant']}) | {search} | "
            f"{row.get('stale_depth', '?')} ({row.get('stale_reads', '?')}) | "
            f"{row.get('spurious', 0)} ({row.get('spurious_wakeups', 0)}) | "
            f"{row.get('weak_cas_failures', 0)} | {row.get('timeouts_limit', 0)} "
            f"({row.get('timeouts', 0)}) | {row.get('thread_start_failures', 0)} | "
            f"{row.get('longest_execution', '?')} steps | {verdict} |")
    lines += ["", "What the model leaves out:", ""] + [f"- {sentence}." for sentence in LEFT_OUT]
    return "\n".join(lines) + "\n"


def compare(arguments, log, scenarios):
    """The explorer beside Relacy's own search of the kernels, and beside the worker's scenarios
    without a reduction."""
    path = arguments.output / "relacy_search.json"
    limit = ["--max-executions", str(QUICK_EXECUTIONS)] if Share.given().is_limited() else []
    status, output = run([
        str(executable(arguments, "model_relacy_search")), "--walks",
        str(arguments.walks), *limit, "--json",
        str(path)
    ], timeout=1800)
    if status != 0:
        raise Failed(f"model_relacy_search: {last_line(output)}")
    native = {row["name"]: row for row in json.loads(path.read_text())}
    ours = {row["name"]: row for row in scenarios if row.get("exhaustive")}

    def estimated(name):
        path = arguments.output / f"estimate_{name}.json"
        status, output = run([
            str(executable(arguments, "model_worker")), name, "--mode", "estimate",
            "--max-executions",
            str(arguments.walks), "--json",
            str(path)
        ], timeout=1800)
        if not path.exists():
            raise Failed(f"no estimate of {name}: {last_line(output)}")
        entry = json.loads(path.read_text())["scenarios"][0]
        path.unlink()
        return entry

    rows, problems = [], []
    for name in [*native, *COMPARED]:
        row = {"name": name, "complete": None, "redundant": None, "optimal": OPTIMAL.get(name)}
        if name in ours:
            row.update(complete=ours[name]["executions_complete"],
                       redundant=ours[name]["executions_redundant"])
        if name in native:
            other = native[name]
            row.update(search="Relacy's sched_full", executions=other["executions"],
                       estimate=other["estimate"], estimate_error=other["estimate_error"])
        else:
            other = estimated(name)
            row.update(search="no reduction", executions=None, estimate=other["estimate"],
                       estimate_error=other["estimate_error"])
        if row["complete"] is not None:
            row["ratio"] = (row["executions"]
                            or row["estimate"]) / (row["complete"] + row["redundant"])
            if (row["executions"] or row["estimate"]) > 1e8 and row["ratio"] < 1000:
                problems.append(
                    f"comparison: {name} takes only {row['ratio']:.0f} times fewer executions")
        else:
            log(f"comparison: {name} has not been searched to its end, so it has no ratio")
        rows.append(row)
    log(f"comparison: {len(rows)} rows, fewer executions by a factor of up to "
        f"{max(row.get('ratio', 0) for row in rows):.2g}")
    return rows, problems


def comparison_table(rows):
    lines = [
        "", "## Beside other searches", "",
        "Executions. \"Estimated\" is the mean of random walks through the other search's tree, "
        "with its standard error.",
        "The optimal checker's counts were measured elsewhere, on a kernel of the same design.", "",
        "| | Ours, complete + redundant | Other search | Its executions | Ratio | Optimal checker "
        "|",
        "|---|---|---|---|---|---|"
    ]
    for row in rows:
        theirs = f"{row['executions']:,}" if row["executions"] else \
            f"estimated {row['estimate']:.2g} ± {row['estimate_error']:.1g}"
        ours = ("not finished" if row["complete"] is None else
                f"{row['complete']:,} + {row['redundant']:,}")
        optimal = "{:,} + {:,}".format(*row["optimal"]) if row["optimal"] else ""
        ratio = f"{row['ratio']:.2g}" if "ratio" in row else ""
        lines.append(
            f"| {row['name']} | {ours} | {row['search']} | {theirs} | {ratio} | {optimal} |")
    return "\n".join(lines) + "\n"


def main(arguments):
    log = Log()
    arguments.output.mkdir(parents=True, exist_ok=True)
    wanted = arguments.only or PARTS
    results, red, seconds = {}, [], {}
    for part in ("litmus", "scenarios", "comparison", "soundness", "weakenings"):
        merge_into_model_json(part,
                              [] if part in ("scenarios",
                                             "comparison") else {"ran": False, "why": "not run"},
                              arguments.output)
    share = Share.given()
    try:
        missing = build(arguments, log, EXECUTABLES)
    except Failed as failure:
        print(failure)
        log("the build failed")
        return 1
    red += [f"{name} does not exist" for name in missing]
    if share.is_limited():
        fit(arguments, share, log)

    def part(name, function):
        # nobody asked for it: the record of the run says that it was a partial one
        if name not in wanted:
            return
        started = time.monotonic()
        try:
            function()
        except Failed as failure:
            red.append(f"{name}: {failure}")
        seconds[name] = round(time.monotonic() - started)
        log(f"{name}: {seconds[name]} s")

    def litmus():
        status, output = run([str(executable(arguments, "model_litmus")), "--self-test"],
                             timeout=600)
        merge_into_model_json("litmus",
                              {"ran": True, "green": status == 0, "text": last_line(output)},
                              arguments.output)
        log(last_line(output))
        if status != 0:
            red.append(f"litmus: {last_line(output)}")

    rows, tried = [], collections.defaultdict(dict)

    def scenarios():
        for name in ("model_worker", "model_kernels"):
            if name not in missing:
                more, problems = explore(
                    arguments, log, name, tried[name],
                    lambda some: merge_into_model_json("scenarios", rows + some, arguments.output))
                rows.extend(more)
                red.extend(problems)
        merge_into_model_json("scenarios", rows, arguments.output)
        (arguments.output / "coverage.md").write_text(statement(rows))
        merge_into_model_json("left_out", LEFT_OUT, arguments.output)
        counts = collections.Counter(row["verdict"] for row in rows)
        log(f"{len(rows)} suites: " +
            ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))

    def comparison():
        compared, problems = compare(arguments, log, rows)
        red.extend(problems)
        merge_into_model_json("comparison", compared, arguments.output)
        with (arguments.output / "coverage.md").open("a") as statement_file:
            statement_file.write(comparison_table(compared))

    def soundness():
        path = arguments.output / "soundness.json"
        path.unlink(missing_ok=True)
        status, output = run([
            str(executable(arguments, "model_soundness")), "--programs",
            str(arguments.programs), "--planted", "--jobs",
            str(arguments.jobs), "--json",
            str(path)
        ], timeout=3600)
        (arguments.output / "soundness.txt").write_text(output)
        if status is None or not path.exists():
            red.append("soundness did not finish")
            return
        counts = json.loads(path.read_text())["soundness"]
        merge_into_model_json("soundness", {"ran": True, **counts}, arguments.output)
        enough = {
            "programs": counts["programs"] >= PROGRAMS,
            "equal": counts["equal"] == counts["programs"],
            "multi_outcome": 2 * counts["multi_outcome"] >= counts["programs"],
            "refuted": counts["refuted"] >= 100,
            "planted": counts["planted"] > 0 and counts["planted_caught"] == counts["planted"]
        }
        if arguments.programs < PROGRAMS:  # less was asked for, and the report says so
            del enough["programs"], enough["refuted"]
        log(f"soundness: {counts}")
        red.extend(f"soundness: {name} falls short: {counts}"
                   for name, holds in enough.items() if not holds)
        if status != 0 and all(enough.values()):
            red.append(f"soundness: {last_line(output)}")

    def weaken():
        directory = arguments.output / "weakening"
        directory.mkdir(parents=True, exist_ok=True)
        result = weakening.weaken(Suites(executable(arguments, "model_worker"),
                                         directory), ROOT, log, arguments.quick_seconds,
                                  arguments.jobs, directory, tried["model_worker"])
        merge_into_model_json("weakenings", result, arguments.output)
        if result["missed"] or result["problems"] or not result["total"]:
            red.append(f"weakening: {result['missed']} missed, {len(result['problems'])} problems")

    part("litmus", litmus)
    part("scenarios", scenarios)
    part("weakening", weaken)
    part("soundness", soundness)
    part("comparison", comparison)
    merge_into_model_json("seconds", seconds, arguments.output)
    merge_into_model_json("red", red, arguments.output)
    if share.is_limited():  # what a quick run cuts is no fault, and the report shows it
        cut = {row["name"] for row in rows if is_cut(row) and not row["green"]}
        red = [problem for problem in red if problem.split(":")[0] not in cut]
        log(f"{len(cut)} suites were cut")
    for problem in red:
        print(f"RED {problem}")
    log("model: " + ("green" if not red else f"{len(red)} red") + "; " +
        ", ".join(f"{n} {s} s" for n, s in seconds.items()))
    return 1 if red else 0


def try_out(arguments):
    log = Log()
    arguments.build.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(arguments.build / "rest", ignore_errors=True)
    tree = Tree(arguments.build / "tree")
    builder = Builder(tree, arguments.build, arguments.jobs)
    log("compiling the suites")
    try:
        builder.objects = builder.model_objects()
        path, errors = builder.executable("plain", level="-O0", options=["-g"])
        if not path:
            raise Failed(errors[:4000])
        suites = Suites(path, arguments.build)
        names = [name for name, _, must_fail in suites.names() if not must_fail]
    except Failed as failure:
        print(failure)
        return 1
    unknown = sorted(set(arguments.suites) - set(names))
    if unknown:
        print("no such suite that must pass: " + " ".join(unknown))
        return 2
    names = [name for name in names if not arguments.suites or name in arguments.suites]
    # The smallest first: their interleavings are the easiest to read.
    names.sort(
        key=lambda name: (sum(int(digit) for digit in re.findall(r"\d", name)) or 4, len(name)))
    unfinished, cut = [], []
    # A second for each, then the whole time for those that need it.
    for seconds in (1, arguments.seconds):
        for name in names if seconds == 1 else unfinished:
            result = suites.run(name, seconds, minimize=True)
            if result["outcome"] == "unfinished":
                (unfinished if seconds == 1 else cut).append(name)
            elif result["outcome"] != "green":
                told = (lanes.told(result["entry"]) if "entry" in result else
                        f"{result['outcome']}: {result['message']}\n{result['output']}")
                print(
                    f"\n{name} is red: {told}\n"
                    f"See it again: "
                    f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path} --replay "
                    f"'{result['replay']}'")
                return 1
    log(f"no suite is red: {len(names) - len(cut)} searched to their end" +
        (f"; cut after {arguments.seconds:g} s, which proves nothing: {' '.join(cut)}"
         if cut else ""))
    return 0
