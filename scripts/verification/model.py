"""scripts/verify model: every scenario in full, the soundness comparison, the litmus table, the weakening; and one
sentence for each about what was covered. scripts/verify try: the suites against sources that somebody changed."""

import collections
import json
import os
import pathlib
import shutil
import time

from build import MUTATED, ROOT, Builder, Failed, Suites, Tree, in_parallel, last_line, run
from mutation import Log, merge_into_model_json
import weakening

PROGRAMS = 5000

LEFT_OUT = [
    "the memory model is Relacy's: a load reads one of the newest three stores (stale_depth 2), so what needs an older one is not seen",
    "load buffering (a load that reads a store which depends on it) does not happen in it",
    "a compare-exchange that fails reads the newest value, never a stale one",
    "its release sequences are those of C++11, longer than C++20's: no code may rely on a relaxed store that continues one",
    "spurious wake-ups, timeouts, failing weak compare-exchanges and refused threads: as many in one execution as the row says",
    "the semaphore is modelled as its contract; the futex below it (S1, S2) is not explored here",
]


def add_arguments(parts):
    parser = parts.add_parser(
        "model", help="scenarios, soundness, weakening",
        description="Builds the model checker and runs all of it. Exit status 0 if every suite is proved (or refuted, where it "
                    "must be), every comparison equal and every weakening caught or argued for; unknown is red.")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "verify")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "test", help="of the CMake preset `test`")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--quick-seconds", type=float, default=20, help="first try, one process for each suite (20)")
    parser.add_argument("--seconds", type=float, default=900, help="second try, all processes for one suite (900)")
    parser.add_argument("--only", action="append", default=[], choices=["litmus", "scenarios", "soundness", "weakening"],
                        help="leave the other parts out; they show as not run")
    parser.add_argument("--programs", type=int, default=PROGRAMS, help=f"of the soundness comparison ({PROGRAMS})")
    parser.set_defaults(run=main)
    parser = parts.add_parser(
        "try", help="the quick suites against changed sources",
        description="Compiles the worker as it stands and runs the suites until one is red; prints the interleaving and the line "
                    "that replays it. For those who break the worker by hand, to see who notices.")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "verify" / "try")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seconds", type=float, default=10, help="for one suite (10)")
    parser.add_argument("suites", nargs="*", help="suites; by default all, the quickest first")
    parser.set_defaults(run=try_out)


def build(arguments, log, executables):
    """The CMake targets; the names of those that are missing."""
    log("building with the CMake preset `test`")
    status, output = run(["cmake", "--preset", "test", "-B", str(arguments.build)], cwd=ROOT)
    if status != 0:
        raise Failed(output[-4000:])
    status, output = run(["cmake", "--build", str(arguments.build), "--target", "help"], cwd=ROOT)
    missing = [name for name in executables if f" {name}\n" not in output + "\n"]
    present = [name for name in executables if name not in missing]
    status, output = run(["cmake", "--build", str(arguments.build), "--parallel", str(arguments.jobs), "--target", *present],
                         cwd=ROOT)
    if status != 0:
        raise Failed(output[-4000:])
    return missing


def executable(arguments, name):
    return next((path for path in arguments.build.rglob(name) if path.is_file() and os.access(path, os.X_OK)), None)


def explore(arguments, log, name):
    """Every suite of one executable: first each alone, then what is left, one after the other, with all processes."""
    suites = Suites(executable(arguments, name), arguments.output)
    known = suites.names()
    log(f"{name}: {len(known)} suites")
    done = {}

    def first(entry):
        result = suites.run(entry[0], arguments.quick_seconds, minimize=not entry[2])
        done[entry[0]] = result
        if result["outcome"] not in ("green", "unfinished"):
            log(f"RED {entry[0]}: {result['outcome']}: {result['message']}")

    in_parallel(arguments.jobs, first, known)
    left = [entry for entry in known if done[entry[0]]["outcome"] == "unfinished"]
    log(f"{name}: {len(left)} take longer than {arguments.quick_seconds:g} s: " + " ".join(entry[0] for entry in left))
    for entry in left:
        done[entry[0]] = suites.run(entry[0], arguments.seconds, ["--jobs", str(arguments.jobs)], minimize=True)
        counts = done[entry[0]].get("entry", {})
        log(f"  {entry[0]}: {counts.get('verdict', done[entry[0]]['outcome'])}, {counts.get('executions_complete', 0)} executions, "
            f"{done[entry[0]]['seconds']} s {done[entry[0]]['message']}")
    rows, red = [], []
    for entry_name, property_, must_fail in known:
        result = done[entry_name]
        row = result.get("entry") or {"name": entry_name, "property": property_, "verdict": "unknown", "green": False,
                                      "reason": f"{result['outcome']}: {result['message']}", "executions_complete": 0,
                                      "executions_redundant": 0, "must_fail": must_fail}
        row["executable"] = name
        row.pop("sites", None)
        row["explored_seconds"] = result["seconds"]
        rows.append(row)
    by_name = {row["name"]: row for row in rows}
    for row in rows:
        stand_in = by_name.get(row.get("fallback") or "")
        # Too large, as declared, and what stands in for it is proved: both are shown, and neither is called the other.
        row["stands_in"] = stand_in["name"] if stand_in and row["verdict"] == "unknown" and stand_in["green"] else None
        if not row["green"] and row["stands_in"] is None:
            red.append(f"{row['name']}: {row['verdict']} {row.get('message', '')} {row.get('why', '')} {row.get('reason', '')}")
        if row.get("history"):
            folder = arguments.output / "histories"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{row['name']}.txt").write_text(f"{row['name']}: {row['failure']}: {row['message']}\n\n{row['history']}\n"
                                                       f"replay: {row['replay']}\n")
    return rows, red


def statement(rows):
    """What was covered, from the results alone."""
    lines = ["# What was explored", "",
             "Generated with the results. \"No bound\" speaks of preemptions; the limits of the last paragraph hold for every row.",
             "", "| Suite | Property | Threads | Executions (redundant) | Search | Stale depth | Spurious, weak CAS, timeouts, "
             "refused threads | Longest | Verdict |", "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        search = "no bound" if row.get("exhaustive") else \
            f"within {row['bound']} preemptions" if row.get("bound") is not None else row.get("mode", "?")
        verdict = row["verdict"] + (f" ({row['failure']}), as it must be" if row.get("must_fail") and row["green"] else "")
        if row.get("stands_in"):
            verdict += f"; {row['stands_in']} stands in"
        lines.append(f"| {row['name']} | {row['property']} | {row.get('threads', '?')} | {row['executions_complete']} "
                     f"({row['executions_redundant']}) | {search} | {row.get('stale_depth', '?')} | {row.get('spurious', 0)}, "
                     f"{row.get('weak_cas_failures', 0)}, {row.get('timeouts_limit', 0)}, {row.get('thread_start_failures', 0)} | "
                     f"{row.get('longest_execution', '?')} steps | {verdict} |")
    lines += ["", "What the model leaves out:", ""] + [f"- {sentence}." for sentence in LEFT_OUT]
    return "\n".join(lines) + "\n"


def main(arguments):
    log = Log()
    arguments.output.mkdir(parents=True, exist_ok=True)
    wanted = arguments.only or ["litmus", "scenarios", "soundness", "weakening"]
    results, red, seconds = {}, [], {}
    for part in ("litmus", "scenarios", "soundness", "weakenings"):
        merge_into_model_json(part, [] if part == "scenarios" else {"ran": False, "why": "not run"}, arguments.output)
    executables = ["model_worker", "model_kernels", "model_litmus", "model_soundness"]
    try:
        missing = build(arguments, log, executables)
    except Failed as failure:
        print(failure)
        log("the build failed")
        return 1
    red += [f"{name} does not exist" for name in missing]

    def part(name, function):
        if name not in wanted:
            red.append(f"{name} did not run")
            return
        started = time.monotonic()
        try:
            function()
        except Failed as failure:
            red.append(f"{name}: {failure}")
        seconds[name] = round(time.monotonic() - started)
        log(f"{name}: {seconds[name]} s")

    def litmus():
        status, output = run([str(executable(arguments, "model_litmus")), "--self-test"], timeout=600)
        merge_into_model_json("litmus", {"ran": True, "green": status == 0, "text": last_line(output)}, arguments.output)
        log(last_line(output))
        if status != 0:
            red.append(f"litmus: {last_line(output)}")

    def scenarios():
        rows = []
        for name in ("model_worker", "model_kernels"):
            if name not in missing:
                more, problems = explore(arguments, log, name)
                rows += more
                red.extend(problems)
        merge_into_model_json("scenarios", rows, arguments.output)
        (arguments.output / "coverage.md").write_text(statement(rows))
        merge_into_model_json("left_out", LEFT_OUT, arguments.output)
        counts = collections.Counter(row["verdict"] for row in rows)
        log(f"{len(rows)} suites: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))

    def soundness():
        path = arguments.output / "soundness.json"
        path.unlink(missing_ok=True)
        status, output = run([str(executable(arguments, "model_soundness")), "--programs", str(arguments.programs), "--planted",
                              "--jobs", str(arguments.jobs), "--json", str(path)], timeout=3600)
        (arguments.output / "soundness.txt").write_text(output)
        if status is None or not path.exists():
            red.append("soundness did not finish")
            return
        counts = json.loads(path.read_text())["soundness"]
        merge_into_model_json("soundness", {"ran": True, **counts}, arguments.output)
        enough = {"programs": counts["programs"] >= PROGRAMS, "equal": counts["equal"] == counts["programs"],
                  "multi_outcome": 2 * counts["multi_outcome"] >= counts["programs"], "refuted": counts["refuted"] >= 100,
                  "planted": counts["planted"] > 0 and counts["planted_caught"] == counts["planted"]}
        log(f"soundness: {counts}")
        red.extend(f"soundness: {name} falls short: {counts}" for name, holds in enough.items() if not holds)
        if status != 0 and all(enough.values()):
            red.append(f"soundness: {last_line(output)}")

    def weaken():
        directory = arguments.output / "weakening"
        directory.mkdir(parents=True, exist_ok=True)
        result = weakening.weaken(Suites(executable(arguments, "model_worker"), directory), ROOT, log, arguments.quick_seconds,
                                  arguments.jobs, directory)
        merge_into_model_json("weakenings", result, arguments.output)
        if result["missed"] or result["problems"] or not result["total"]:
            red.append(f"weakening: {result['missed']} missed, {len(result['problems'])} problems")

    part("litmus", litmus)
    part("scenarios", scenarios)
    part("soundness", soundness)
    part("weakening", weaken)
    merge_into_model_json("seconds", seconds, arguments.output)
    for problem in red:
        print(f"RED {problem}")
    log("model: " + ("green" if not red else f"{len(red)} red") + "; " + ", ".join(f"{n} {s} s" for n, s in seconds.items()))
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
        path, errors = builder.executable("plain", level="-O0")
        if not path:
            raise Failed(errors[:4000])
        suites = Suites(path, arguments.build)
        names = [name for name, _, must_fail in suites.names() if not must_fail]
    except Failed as failure:
        print(failure)
        return 1
    names = [name for name in names if not arguments.suites or name in arguments.suites]
    unfinished = []
    # A second for each, then the whole time for those that need it.
    for seconds in (1, arguments.seconds):
        for name in names if seconds == 1 else unfinished:
            result = suites.run(name, seconds, minimize=True)
            if result["outcome"] == "unfinished":
                if seconds == 1:
                    unfinished.append(name)
            elif result["outcome"] != "green":
                print(f"\n{name} is red: {result.get('failure', result['outcome'])}: {result['message']}\n\n{result['history']}\n"
                      f"See it again: {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path} "
                      f"--replay '{result['replay']}'")
                return 1
    log(f"no suite is red within its time ({len(names)} suites, {arguments.seconds:g} s each)")
    return 0
