"""scripts/verify all: every part that is not there yet, then the report. scripts/verify tests: the
contract tests. scripts/verify report: the report alone."""

import argparse
import collections
import datetime
import importlib
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import time

import ending
import evidence
import model
import mutation
import pace
import props
import replay
import weakening
import writers
from build import ROOT, Failed, last_line, run
from mutation import Log

HERE = pathlib.Path(__file__).resolve().parent
OUTPUT, BUILD = ROOT / "build" / "verify", ROOT / "build" / "test"
# What a quick run may take; where the machine is slower, twelve minutes at half the speed, and in
# proportion below.
QUICK_SECONDS, SLOW_SECONDS = 600, 360
ALONE = "KSTONE_VERIFY_ALONE"  # set for a part of `all`, which reports at its end
# How long a part takes where no earlier run tells, in seconds: full, quick.
GUESSES = {
    "model": (1500, 170), "mutants": (3000, 115), "props": (900, 85), "stress": (1350, 80),
    "tests": (90, 35), "coverage": (400, 85), "proof": (400, 40)
}
# Of a quick run, in the unit of pace.py: the least that a part shows anything in, once everything
# is built that CMake builds, and what it makes use of. The parts cut themselves, and say what they
# cut.
LEAST_AND_USUAL = {
    "tests": (12, 12), "proof": (12, 40), "coverage": (20, 95), "props": (24, 24),
    "stress": (32, 80), "model": (45, 110), "mutants": (75, 100)
}
# So much longer than that is a hang.
HANGS, HANGS_AFTER = 4, 900
# What a part is called with; mutants come last, since they may be cut.
FULL = {
    "tests": [], "proof": [], "coverage": [], "model": [], "props": [], "stress": [], "mutants": []
}
QUICK = {
    "tests": ["--quick"], "proof": ["--quick"], "coverage": ["--quick"], "props": ["--quick"],
    "stress": ["--quick"],
    "model": ["--quick-seconds", "1", "--seconds", "0", "--programs", "300", "--walks", "10000"],
    # Some of those by hand, which share one executable: what needs one of its own costs half a
    # minute.
    "mutants": [
        "--only", "by hand: a [!cfs]", "--only", "by hand: the [!t]", "--no-deep",
        "--no-tests", "--seconds", "1"
    ]
}


def program():
    """The command line of scripts/verify, all of it."""
    parser = argparse.ArgumentParser(prog="scripts/verify")
    parts = parser.add_subparsers(dest="part", required=True)
    add_arguments(parts)
    model.add_arguments(parts)
    mutation.add_arguments(parts)
    weakening.add_arguments(parts)
    for name in ("props", "stress", "coverage", "proof"):
        if importlib.util.find_spec(name):
            importlib.import_module(name).add_arguments(parts)
    replay.add_arguments(parts)
    return parser


def add_arguments(parts):
    parser = parts.add_parser(
        "all", help="every part, and the report",
        description="Runs the parts one after the other, skips those whose results are of the "
                    "sources as they are, and writes the report: build/verify/index.html, "
                    "summary.md, results.sarif, junit.xml, verification.json. Exit status: 0 all "
                    "as it should be, 1 something failed, 3 nothing failed, but something did not "
                    "run or was cut.")
    parser.add_argument(
        "--quick", action="store_true",
        help="everything at reduced size, in ten minutes, or twelve where the machine is half as "
             "fast; what is cut shows as cut")
    parser.add_argument("--again", action="append", default=[], choices=list(FULL), metavar="PART",
                        help="repeat a part although its results are there")
    parser.add_argument("--parts", default=",".join(FULL),
                        help="separated by commas; the others are not run (all)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--minutes", type=float, help="end what still runs then; it shows as cut")
    add_output(parser)
    parser.set_defaults(run=everything)
    parser = parts.add_parser(
        "report", help="the report of the results that are there",
        description="Writes the report from the results that are there. Exit status as that of "
                    "`all`.")
    parser.add_argument("--quick", action="store_true", help="of the last run of `all --quick`")
    parser.add_argument("--from", dest="document", type=pathlib.Path, metavar="FILE",
                        help="a verification.json, instead")
    add_output(parser)
    parser.set_defaults(run=report)
    parser = parts.add_parser(
        "tests", help="the contract tests, and those of faults",
        description="Builds the preset `test` and runs ctest -L '^(contract|faults)$'.")
    parser.add_argument("--quick", action="store_true", help="the contract alone")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "test")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    add_output(parser)
    parser.set_defaults(run=tests)


def targets_of_tests(quick):
    return [
        "kstone_contract_tests",
        *([] if quick else ["kstone_fault_tests", "kstone_database_fault_tests"])
    ]


def add_output(parser):
    parser.add_argument("--output", type=pathlib.Path, default=OUTPUT, help="folder (build/verify)")


def tests(arguments):
    log = Log()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = (arguments.output / "tests.xml").resolve()
    path.unlink(missing_ok=True)
    try:
        missing = model.build(arguments, log, targets_of_tests(arguments.quick))
    except Failed as failure:
        print(failure)
        return 1
    if missing:
        log("left out, since a package is missing: " + ", ".join(missing))
    status, output = run([
        "ctest", "--test-dir",
        str(arguments.build), "-L", "^contract$" if arguments.quick else "^(contract|faults)$",
        "--no-tests=error", "--parallel",
        str(arguments.jobs), "--output-on-failure", "--output-junit",
        str(path)
    ], timeout=1800)
    print(output[-6000:] if status != 0 else output[-400:])
    return 0 if status == 0 else 1


# -- What ran, and of which sources ----------------------------------------------------------------

def record(output, part, **values):
    path = output / "parts.json"
    records = evidence.read_json(path)
    records[part] = {**records.get(part, {}), **values}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(records, indent=1) + "\n")


# What says where and how a part runs, and not how much of it.
HOW = {"part", "run", "build", "output", "jobs", "seed", "resume", "list", "self_test"}


def less(arguments):
    """In which ways less was asked for than a whole run of the part, in words; nothing for a whole
    run."""
    found = []
    for key, whole in vars(program().parse_args([arguments.part])).items():
        asked, option = getattr(arguments, key), "--" + key.replace("_", "-")
        if key in HOW or asked == whole:
            continue
        if isinstance(whole, (list, bool)):
            found.append(f"{option} {' '.join(asked)}" if asked is not True else option)
        elif asked < whole:
            found.append(f"{option} {asked:g} instead of {whole:g}")
    return found


def done(output, part):
    """What there is to show for a run of a part, in words."""
    checks = [
        check for check in evidence.Collector(output).collect()["checks"]
        if check["part"] == part and check["state"] != "not_run" and check["kind"] != "budget"
    ]
    if not checks:
        return "nothing"
    kinds = collections.Counter(check["kind"] for check in checks)
    states = collections.Counter(check["state"] for check in checks)
    return (", ".join(f"{kind}: {count}" for kind, count in kinds.items()) + "; " +
            ", ".join(f"{count} {state}" for state, count in states.items()))


def recorded(arguments):
    """Runs a part and notes of which sources its results are, and whether they are of the whole
    part."""
    part = arguments.part
    if part == "mutants" and (arguments.list or arguments.self_test):
        return arguments.run(arguments)  # not a run of the part
    output = getattr(arguments, "output", None) or arguments.build.parent
    started, before, partial = time.monotonic(), evidence.digest(part), less(arguments)
    note = {
        "digest": before, "options": sys.argv[2:], "started": now(), "partial": partial,
        **evidence.commit()
    }
    if part == "mutants" and arguments.only and ALONE not in os.environ:
        # Somebody looks at a few: what a run of all has found stays, and this one stands beside it.
        arguments.build = arguments.build / "some"
        status = arguments.run(arguments)
        record(
            output, part, beside={
                **note, "status": status, "finished": now(), "done": some_mutants(arguments.build)
            })
        return status
    record(output, part, status=None, done=None, beside=None, **note)
    status = arguments.run(arguments)
    if evidence.digest(part) != before:
        print(f"The sources of `{part}` have changed while it ran: its results are of neither.")
        note["digest"] = "mixed"
    record(output, part, status=status, seconds=round(time.monotonic() - started), finished=now(),
           done=done(output, part) if partial else None, **note)
    if partial and ALONE not in os.environ:
        print(f"A partial run: {', '.join(partial)}. The report shows it as such.")
    if status and ALONE not in os.environ:
        print("\n".join(writers.failures(
            evidence.Collector(output).collect(), columns(), part=part)))
    return status


def some_mutants(directory):
    counts = collections.Counter(
        row["verdict"] for row in evidence.read_json(directory / "results.json").get("list", []))
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "nothing"


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


# -- All of it -------------------------------------------------------------------------------------

def exists(part):
    return part in ("tests", "model", "mutants") or importlib.util.find_spec(part) is not None


def everything(arguments):
    log, plan = Log(), QUICK if arguments.quick else FULL
    results = arguments.output / "quick" if arguments.quick else arguments.output
    started = time.monotonic()
    deadline = started + arguments.minutes * 60 if arguments.minutes else None
    wanted = arguments.parts.split(",")
    unknown = [part for part in wanted if part not in plan]
    if unknown:
        print(f"no such part: {', '.join(unknown)}", file=sys.stderr)
        return 2
    records = evidence.read_json(results / "parts.json")
    waiting = []
    for before in evidence.Collector(results, quick=arguments.quick).collect()["parts"]:
        part, current = before["name"], records.get(before["name"], {})
        # Red results of these sources would come out red again.
        there = (current.get("status") is not None and not before["stale"]
                 and not before["states"].get("not_run")
                 and current.get("partial", []) == less(program().parse_args([part, *plan[part]])))
        if part not in wanted:
            continue
        if not exists(part):
            log(f"{part}: not in this checkout")
        elif there and part not in arguments.again:
            log(f"{part}: the results of {current.get('finished', 'an earlier run')} are of these "
                f"sources: {before['state']}"
                + ("" if before["state"] == "passed" else f" (--again {part} repeats it)"))
            record(results, part, reused=True)
        else:
            waiting.append(part)
    waiting.sort(key=list(plan).index)

    def usual(part):
        return records.get(part, {}).get("seconds") or GUESSES[part][arguments.quick]

    if not waiting:
        return write_report(arguments, results)
    paces = [pace.measured(arguments.jobs)] if arguments.quick else []

    def until():
        """When a quick run should have ended."""
        return deadline or started + max(QUICK_SECONDS, SLOW_SECONDS * sum(paces) / len(paces))

    if arguments.quick:
        log(f"this machine takes {paces[0]:.1f} times as long as the one that sizes are written "
            f"down for: about {writers.duration(until() - started)} for all parts")
    build_for(arguments, log, waiting)
    for number, part in enumerate(waiting):
        rest = waiting[number:]
        log(f"{part}: part {number + 1} of {len(waiting)}; about "
            f"{writers.duration(sum(map(usual, rest)))} left in all")
        # One part that is late does not take all from those behind it.
        left = (deadline - time.monotonic()) * min(1, 1.5 * usual(part) /
                                                   sum(map(usual, rest))) if deadline else None
        share = pace.Share()
        if arguments.quick:
            paces.append(pace.measured(arguments.jobs))
            sizes = {name: LEAST_AND_USUAL[name] for name in rest}
            share = pace.Share(pace.shares(sizes, until() - time.monotonic(), paces[-1]), paces[-1])
            left = min(deadline - time.monotonic() if deadline else float("inf"),
                       share.seconds * HANGS + HANGS_AFTER)
            log(f"{part}: {writers.duration(share.seconds)} are its share, at a pace of "
                f"{paces[-1]:.1f}")
        if left is not None and left < 5:
            log(f"{part}: no time is left for it")
            record(results, part, status=None, cut="no time was left for it",
                   digest=evidence.digest(part))
            continue
        options = list(plan[part])
        if part == "mutants":
            options += ["--build", str(results / "mutants")]
            # What a run of the same sources has found already stays found.
            same = records.get(part, {}).get("digest") == evidence.digest(part)
            if same and part not in arguments.again:
                options.append("--resume")
        else:
            options += ["--output", str(results)]
        run_part(log, part, options + ["--jobs", str(arguments.jobs)], left, usual(part),
                 sum(map(usual, rest[1:])), results, share)
    return write_report(arguments, results)


def build_for(arguments, log, parts):
    """What CMake builds for all these parts, at once. What does not build is told by the part that
    needs it."""
    wanted = {
        "tests": targets_of_tests(arguments.quick), "props": props.EXECUTABLES,
        "model": model.EXECUTABLES
    }
    targets = [target for part in parts for target in wanted.get(part, [])]
    if targets:
        started = time.monotonic()
        try:
            model.build(argparse.Namespace(build=BUILD, jobs=arguments.jobs), log, targets)
        except Failed as failure:
            log(f"not everything builds: {last_line(str(failure))}")
        log(f"built in {writers.duration(time.monotonic() - started)}")


def run_part(log, part, options, limit, usual, behind, results, share):
    """One part as a program of its own, its time bounded, with a word every minute about how long
    it will be."""
    started, told = time.monotonic(), time.monotonic()
    record(results, part, reused=False, cut=None)
    process = ending.start(
        [sys.executable, str(HERE / "verify.py"), part, *options], cwd=ROOT,
        env={**os.environ, **(share.environment() if share.is_limited() else {}), ALONE: "no"})
    try:
        while process.poll() is None:
            time.sleep(0.2)
            spent = time.monotonic() - started
            if limit is not None and spent > limit:
                ending.end(process)
                log(f"{part}: cut after {writers.duration(spent)}")
                record(results, part, status=None, cut=f"cut after {writers.duration(spent)}",
                       seconds=round(spent))
                return
            if time.monotonic() - told > 60:
                told = time.monotonic()
                late = "" if spent < usual else f", more than the usual {writers.duration(usual)}"
                log(f"{part}: {writers.duration(spent)}{late}; about "
                    f"{writers.duration(max(0, usual - spent) + behind)} left in all")
    except BaseException:
        ending.end(process)
        raise


# -- The report ------------------------------------------------------------------------------------

def report(arguments):
    if arguments.document:
        document = json.loads(arguments.document.read_text())
        if document.get("schema") != "kstone.verification":
            print(f"not a verification document: {arguments.document}", file=sys.stderr)
            return 2
        return finish(arguments, document)
    return write_report(arguments,
                        arguments.output / "quick" if arguments.quick else arguments.output)


def columns():
    return shutil.get_terminal_size((120, 24)).columns


def write_report(arguments, results):
    return finish(arguments, evidence.Collector(results, quick=arguments.quick).collect())


def finish(arguments, document):
    arguments.output.mkdir(parents=True, exist_ok=True)
    history = remember(arguments.output / "history.jsonl", document)
    writers.write(document, arguments.output, history)
    print(writers.terminal(document, columns()))
    print(f"The report: {arguments.output / 'index.html'}")
    return evidence.STATUS[document["verdict"]]


def remember(path, document):
    """One line for each report, so that the next can be held against it. A report made anew
    replaces its line."""
    entries = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    parts = {part["name"]: {"state": part["state"], "stale": part["stale"],
                            "seconds": part.get("seconds"), "finished": part.get("finished")}
             for part in document["parts"]}
    checks = {check["id"]: check["state"] for check in document["checks"]
              if check["kind"] != "mutant"}
    entry = {
        "generated": document["generated"], "commit": document["project"]["commit"],
        "size": document["size"], "verdict": document["verdict"],
        "states": document["counts"]["states"], "executions": document["counts"]["executions"],
        "parts": parts, "checks": checks
    }
    same = ("commit", "size", "verdict", "states", "parts", "checks")
    entries = [e for e in entries if any(e.get(key) != entry[key] for key in same)][-59:] + [entry]
    path.write_text("".join(json.dumps(e) + "\n" for e in entries))
    return [e for e in entries if e["size"] == document["size"]]
