"""scripts/verify replay: an execution again, of the worker as it stands, with an order weakened, or
of a mutant."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import model
import mutation
from build import ROOT, Builder, Failed, Tree
from mutation import Log


def add_arguments(parts):
    parser = parts.add_parser(
        "replay", help="an execution again",
        description="Runs the one execution that a replay line names, and prints its interleaving. "
                    "Exit status 0 if it ends as its suite has to (it passes; or it fails in the "
                    "way that the suite must fail in), 1 if not, so that a counter-example that "
                    "comes back is 1, and 2 if there is no such execution of these sources.")
    parser.add_argument("line", help="SUITE;LIMITS;CHOICES, as reports have it")
    parser.add_argument("--mutant", metavar="NAME",
                        help="of this mutant of the worker, which is compiled for it")
    parser.add_argument("--demote", action="append", default=[], metavar="SITE=ORDER",
                        help="with an order weakened")
    parser.add_argument("--kernel", action="store_true", help="of a prototype, not of the worker")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "test",
                        help="of the CMake preset `test`")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.set_defaults(run=main)


def main(arguments):
    log = Log()
    try:
        path = mutated(arguments, log) if arguments.mutant else plain(arguments, log)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 2
    options = [word for site in arguments.demote for word in ("--demote", site)]
    status, sentence = replayed(path, arguments.line, options)
    print(f"replay: {sentence}", file=sys.stderr if status == 2 else sys.stdout)
    return status


def replayed(path, line, options=()):
    """(exit status, what it means), after the executable has printed the execution."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "replay.json"
        status = subprocess.run([str(path), "--replay", line, *options, "--json",
                                 str(file)]).returncode
        try:
            entry = json.loads(file.read_text())["scenarios"][0]
        except (OSError, ValueError, LookupError):
            entry = None
    if entry is None:
        return (2, "there is no such execution") if status == 2 else (
            1, f"the suites ended with status {status}, without a result")
    return meaning(entry)


def meaning(entry):
    """The suites call one execution unknown, since it proves nothing about the others; here it is
    asked how this one ended."""
    if entry["failure"] == "none":
        return (1, "this execution passes, and its suite must fail") if entry["must_fail"] else (
            0, "this execution passes")
    if entry["verdict"] != "refuted":
        return 2, entry["reason"]
    if entry["must_fail"] and entry["green"]:
        return 0, f"this execution fails as its suite must: {entry['failure']}"
    return 1, f"this execution fails: {entry['failure']}: {entry['message']}" + (
        f", in another way than its suite must ({entry['why']})" if entry["must_fail"] else "")


def plain(arguments, log):
    name = "model_kernels" if arguments.kernel else "model_worker"
    if model.build(arguments, log, [name]):
        raise Failed(f"{name} is not built by this configuration")
    return model.executable(arguments, name)


def scenario_files(tree, suite, results=ROOT / "build" / "verify" / "model.json"):
    """The file of this suite, as the last run of all suites knew it; None, for all of them, where
    none did."""
    try:
        rows = json.loads(results.read_text())["scenarios"]
    except (OSError, ValueError, LookupError):
        return None
    names = {
        pathlib.PurePath(row["suite_file"]).name
        for row in rows if row["name"] == suite and row.get("suite_file")
    }
    return [path for path in tree.scenarios() if path.name in names] or None


def mutated(arguments, log):
    """The scenario file of the suite, compiled against the mutant."""
    directory = ROOT / "build" / "verify" / "replay"
    tree = Tree(directory / "tree")
    texts, _, mutants, _ = mutation.make_mutants(tree)
    mutant = next((m for m in mutants if m.name == arguments.mutant), None)
    if mutant is None:
        raise Failed(
            f"no such mutant of these sources: {arguments.mutant} (scripts/verify mutants --list)")
    shutil.rmtree(directory / "rest", ignore_errors=True)
    mutation.write_single(directory / "overlay", texts, mutant)
    files = scenario_files(tree, arguments.line.split(";")[0])
    builder = Builder(tree, directory, arguments.jobs)
    log(f"compiling {', '.join(path.name for path in files) if files else 'the suites'} with the "
        f"mutant")
    builder.objects = builder.model_objects()
    path, errors = builder.executable("mutant", directory / "overlay", "-O0", files, options=["-g"])
    if not path:
        raise Failed(errors[:4000])
    return path
