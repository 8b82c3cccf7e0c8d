"""Mutants of the worker against generated programs. scripts/verify props tries those that were
drawn (proptests/programs/README.md); by hand: python3 scripts/verification/programs.py --only
PATTERN, or --draw, to draw anew from the results of scripts/verify mutants."""

import argparse
import json
import os
import pathlib
import random
import re
import shutil
import sys
import time

import lanes
import operators
from build import MEMORY_KB, ROOT, Builder, Failed, Tree, in_parallel, last_line, listed, run
from mutation import DRAW, Log, chosen_of, make_mutants, write_overlay, write_single

SEED = 20261122  # of the draw: written down before the first run
DRAWN = 20
# An answer that the worker as it is gives in so many programs, and a mutant in none, tells.
USUAL = 5
SOURCES = [
    f"proptests/programs/{name}.cpp"
    for name in listed("proptests/programs", "kstone_programs") if name != "broken_policies"
]


def draw(results):
    """The mutants to be tried: a fixed draw of those that a suite of model/worker notices."""
    names = [
        entry["name"]
        for entry in results if entry["verdict"] == "killed" and entry["by"] == "model"
    ]
    if len(names) < DRAWN:
        raise Failed(f"only {len(names)} mutants are known to be noticed by a model suite")
    return random.Random(SEED).sample(sorted(names), DRAWN)


def drawn():
    if not DRAW.exists():
        raise Failed("no mutants were drawn yet: programs.py --draw")
    return [line for line in DRAW.read_text().splitlines() if line and not line.startswith("#")]


def run_programs(executable, folder, arguments, seconds, mutant=0):
    """What a run of the executable says: (its JSON or None, its output, seconds)."""
    path = folder / f"programs-{mutant}.json"
    path.unlink(missing_ok=True)
    # A mutant may loop and allocate: without a limit it would take the machine along.
    command = [
        "sh", "-c", f'ulimit -v {MEMORY_KB}; exec "$@"', "programs",
        str(executable), *map(str, arguments), "--json",
        str(path)
    ]
    started = time.monotonic()
    _, output = run(command, env=dict(os.environ, KSTONE_MUTANT=str(mutant)), timeout=seconds)
    try:
        result = json.loads(path.read_text())
    except (OSError, ValueError):
        result = None
    return result, output, round(time.monotonic() - started, 1)


def try_mutants(names, folder, jobs, programs, budget, seed, seconds, log):
    """For each mutant of that name, whether some program fails on it, and which was the first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tree = Tree(folder / "tree")
    texts, sources, mutants, _ = make_mutants(tree)
    chosen = [mutant for mutant in mutants if mutant.name in names]
    gone = set(names) - {mutant.name for mutant in chosen}
    if gone:
        raise Failed("no such mutant: " + "; ".join(sorted(gone)))
    shared = [mutant for mutant in chosen if operators.is_selectable(mutant, sources)]
    builder = Builder(tree, folder, jobs)
    builder.objects = builder.model_objects()
    write_overlay(folder / "overlay", texts, sources, shared)
    log(f"compiling the generated programs with {len(shared)} mutants")
    path, errors = builder.executable("all", folder / "overlay", sources=SOURCES,
                                      libraries=["-lrapidcheck"])
    if not path:
        raise Failed(errors[:4000])
    arguments = ["--programs", programs, "--budget", budget, "--seed", seed, "--no-shrink"]
    plain, output, took = run_programs(path, folder, arguments, None)
    if plain is None or plain["failed"]:
        raise Failed(f"programs fail on the worker as it is: {last_line(output)}")
    log(f"the worker as it is: {programs} programs, {took} s")

    def one(mutant):
        executable, number, first = path, mutant.number, ""
        if mutant not in shared:
            write_single(folder / f"overlay-{number}", texts, mutant)
            executable, first = builder.executable(f"single-{number}", folder / f"overlay-{number}",
                                                   sources=SOURCES, libraries=["-lrapidcheck"])
        entry = {
            "name": mutant.name, "file": mutant.file, "line": mutant.line, "found": False,
            "programs": programs
        }
        if not executable:
            return {**entry, "message": f"does not compile: {last_line(first)}"}
        found, text, spent = run_programs(executable, folder, arguments, seconds, number)
        entry["seconds"] = spent
        if found is None:
            entry["message"] = f"no result: {last_line(text)}"
        elif found["failed"]:
            failed = found["failed"][0]
            entry.update(
                found=True, programs=failed.get("programs_until", found["programs"]),
                program=failed["program"], failure=failed["failure"], message=failed["message"],
                replay=failed.get("replay", ""),
                counterexample=lanes.counterexample(failed,
                                                    lambda path: re.sub(r"mutant/\d+/", "", path)))
        elif missing := sorted(answer for answer, count in plain["answers"].items()
                               if count >= USUAL and answer not in found["answers"]):
            entry.update(found=True, message=f"never: {', '.join(missing)}")
        else:
            entry["message"] = "no program fails"
        log(f"{'found' if entry['found'] else 'NOT FOUND'} within {entry['programs']} programs, "
            f"{spent} s: {mutant.name}: {entry['message']}")
        return entry

    return in_parallel(jobs, one, chosen)


def add_options(parser):
    parser.add_argument("--mutant-programs", type=int, default=400,
                        help="programs for each mutant (400)")
    parser.add_argument("--mutant-budget", type=int, default=8000,
                        help="executions of one of them (8,000)")
    parser.add_argument("--mutant-seconds", type=float, default=400, help="for one mutant (400)")


def main():
    parser = argparse.ArgumentParser(
        description="Tries mutants of the worker on generated programs.")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN",
                        help="mutants whose name matches (* and ?)")
    parser.add_argument("--draw", action="store_true", help="draw, and write down what was drawn")
    parser.add_argument("--results", type=pathlib.Path,
                        default=ROOT / "build" / "verify" / "mutants" / "results.json",
                        help="of scripts/verify mutants: the draw is from these")
    parser.add_argument("--build", type=pathlib.Path,
                        default=ROOT / "build" / "verify" / "programs")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", type=pathlib.Path)
    add_options(parser)
    arguments = parser.parse_args()
    log = Log()
    try:
        if arguments.only:
            campaign = argparse.Namespace(mutants=make_mutants(Tree(arguments.build / "tree"))[2])
            names = [mutant.name for mutant in chosen_of(campaign, arguments.only)]
        else:
            names = draw(json.loads(
                arguments.results.read_text())["list"]) if arguments.draw else drawn()
        if arguments.draw:
            DRAW.write_text("# Drawn by programs.py --draw; README.md has the rule.\n" +
                            "".join(f"{name}\n" for name in names))
            return 0
        entries = try_mutants(names, arguments.build / "mutants", arguments.jobs,
                              arguments.mutant_programs, arguments.mutant_budget, arguments.seed,
                              arguments.mutant_seconds, log)
    except (Failed, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if arguments.json:
        arguments.json.write_text(json.dumps(entries, indent=1) + "\n")
    found = sum(entry["found"] for entry in entries)
    log(f"{found} of {len(entries)} mutants found")
    return 0 if found == len(entries) else 1


if __name__ == "__main__":
    sys.exit(main())
