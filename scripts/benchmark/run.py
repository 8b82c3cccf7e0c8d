"""Runs the benchmarks and tells what they show. Called by scripts/bench."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

import figures
import page
from goals import GOALS

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
PROGRAMS = BUILD / "bench"
REQUESTS = 100_000


def build():
    log = BUILD / "build.log"
    BUILD.mkdir(parents=True, exist_ok=True)
    print(f"Building the benchmarks (some minutes at first; the log is {log.relative_to(ROOT)}).",
          flush=True)
    try:
        out = open(log, "w")
    except OSError as error:
        sys.exit(f"scripts/bench: the log of the build cannot be written: {error}")
    with out:
        for command in (["cmake", "--preset", "bench"], [
                "cmake", "--build", "--preset", "bench", "--parallel",
                str(os.cpu_count())
        ]):
            if subprocess.run(command, cwd=ROOT, stdout=out,
                              stderr=subprocess.STDOUT).returncode != 0:
                sys.exit("".join(log.read_text().splitlines(keepends=True)[-40:]) +
                         f"\nThe build failed; the whole log is {log}")


def run_program(name, *arguments):
    output = BUILD / f"{name}.json"
    output.unlink(missing_ok=True)
    subprocess.run([PROGRAMS / name, "--json", output, *arguments], check=True)
    return json.loads(output.read_text())["workloads"]


def instructions(kind, requests):
    """What callgrind counts for a whole run."""
    result = subprocess.run([
        "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
        PROGRAMS / "kstone_bench_instructions", kind,
        str(requests)
    ], check=True, capture_output=True, text=True)
    return int(re.search(r"Collected\s*:\s*(\d+)", result.stderr).group(1))


def count_instructions():
    each = {
        kind: (instructions(kind, 1000 + REQUESTS) - instructions(kind, 1000)) / REQUESTS
        for kind in ("plain", "logged")
    }

    def workload(name, title, unit, subjects):
        return {
            "name": name, "title": title, "unit": unit, "subjects":
                [{"name": subject, "lacks": "", "figures": [value]} for subject, value in subjects]
        }

    return [
        workload("instructions/request",
                 "a request for a queued stripe and its loop, counted by callgrind", "instructions",
                 [("kstone", each["plain"]), ("with a log sink", each["logged"])]),
        workload("instructions/sink", "what a log sink adds to a request", "instructions",
                 [("kstone", round(each["logged"] - each["plain"], 3) + 0.0)])
    ]


def machine():
    compiler = subprocess.run(["c++", "--version"], capture_output=True,
                              text=True).stdout.splitlines()[0]
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    packages = {}
    for package in ("libboost-dev", "libconcurrentqueue-dev", "libleveldb-dev", "librocksdb-dev",
                    "libtbb-dev"):
        shown = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                               capture_output=True, text=True)
        packages[package] = shown.stdout
    return {
        "processor": model.group(1) if model else platform.machine(), "cores": os.cpu_count(),
        "kernel": platform.release(), "compiler": compiler, "packages": packages,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    }


def measure(arguments):
    wanted = re.compile(arguments.only)
    found = run_program("kstone_bench", "--rounds", str(arguments.rounds), "--only", arguments.only)

    def add(names, measured):
        if any(wanted.search(name) for name in names):
            found.extend(workload for workload in measured() if wanted.search(workload["name"]))
    add(("W6/stripe", "W6/request", "W6/allocations"), lambda: run_program("kstone_bench_memory"))
    add(("W9/write", "W9/stall", "W9/quiet", "W9/shutdown", "W9/shutdown under load", "W9/max L0",
         "W9/compacted", "W9/processor"),
        lambda: run_program("kstone_bench_rocksdb", "--pairs", str(arguments.rounds)))
    add(("instructions/request", "instructions/sink"), count_instructions)
    return found


def number(value):
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def print_tables(document):
    for workload in document["workloads"]:
        print(f"\n{workload['name']}: {workload['title']} ({workload['unit']})")
        for row in workload["subjects"]:
            ratio = row.get("ratio")
            beside = (f"  kstone ÷ it {ratio['median']:.3f} "
                      f"[{ratio['low']:.3f}, {ratio['high']:.3f}]") if ratio else ""
            print(
                f"  {row['name']:<14}{number(row['median']):>10}  ({number(row['min'])} to "
                f"{number(row['max'])}){beside}")


def print_goals(goals):
    print(f"\n{'goal':<62}{'against':<12}{'ratio':>9}  {'95 % interval':<18}{'limit':>7}")
    for goal in goals:
        state = ("met" if goal["met"] else "REGRESSED" if goal["regressed"] else
                 "accepted" if goal["accepted"] else "not met")
        between = f"[{number(goal['low'])}, {number(goal['high'])}]"
        print(
            f"{goal['name']:<62}{goal['against']:<12}{number(goal['ratio']):>9}  "
            f"{between:<18}{number(goal['limit']):>7}  {state}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("--rounds", type=int, default=21, metavar="1..1000")
    parser.add_argument("--only", default=".", help="workloads, as a regular expression")
    parser.add_argument("--gate", action="store_true")
    arguments = parser.parse_args()
    if not 1 <= arguments.rounds <= 1000:
        parser.error(f"--rounds {arguments.rounds}: 1 to 1000 are expected")
    try:
        re.compile(arguments.only)
    except re.error as error:
        parser.error(f"--only {arguments.only}: is no regular expression: {error}")
    if arguments.gate and arguments.rounds < 5:
        parser.error(
            f"--gate with --rounds {arguments.rounds}: at least 5, since fewer say nothing of the "
            f"noise")
    load_before = os.getloadavg()[0]  # before our own building
    build()
    begun = time.monotonic()
    document = {"schema": 1, "machine": {**machine(), "load_before": load_before}}
    if document["machine"]["load_before"] > 0.5:
        print(
            f"The machine is busy (load {document['machine']['load_before']:.1f}): the intervals "
            f"will be wide.",
            flush=True)
    raw = measure(arguments)
    if not raw:
        sys.exit(f"--only {arguments.only}: finds no workload")
    by_name = {workload["name"]: workload for workload in raw}
    document["workloads"] = [{**workload, "subjects": figures.table(workload)} for workload in raw]
    document["goals"] = [
        judged for judged in (figures.judged(goal, by_name) for goal in GOALS) if judged
    ]
    document["seconds"] = round(time.monotonic() - begun)
    (BUILD / "bench.json"
     ).write_text(json.dumps(figures.finite(document), indent=1, allow_nan=False) + "\n")
    (BUILD / "index.html").write_text(page.html(document))
    print_tables(document)
    print_goals(document["goals"])
    print(
        f"\n{document['seconds']} s; figures in build/bench/bench.json, charts in "
        f"build/bench/index.html")
    if arguments.gate and not document["goals"]:
        sys.exit(f"--gate --only {arguments.only}: no goal is about any of these workloads")
    worse = [goal for goal in document["goals"] if goal["regressed"]]
    for goal in worse:
        print(
            f"worse than {'accepted' if goal['accepted'] else 'its goal'} by more than this run's "
            f"noise: {goal['name']} against {goal['against'] or 'its limit'}: "
            f"{number(goal['ratio'])}, at least {number(goal['low'])}",
            file=sys.stderr)
    sys.exit(1 if arguments.gate and worse else 0)


if __name__ == "__main__":
    main()
