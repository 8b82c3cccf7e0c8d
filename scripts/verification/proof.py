"""scripts/verify proof: the protocol for any number of requesters, threads and stripes, by two
solvers; broken steps."""

import collections
import json
import os
import pathlib
import shutil
import time

from build import ROOT, Failed, in_parallel, run
from evidence import read_json
from model import build, executable
from mutation import Log
from parts import version_of_package

SECOND = "cvc5"
# Which property of docs/properties.md a sentence of the proof is about, by a piece of it.
PROPERTIES = {
    "no request is lost": ["P1"], "a stripe that was claimed is pushed": ["P1"],
    "nobody is overtaken": ["P1"], "no wake-up is lost": ["P2"],
    "while something waits and there are threads": ["P2"],
    "one is on the way for each push": ["P2"], "a thread that looks for work": ["P2"],
    "one at a time": ["P3"], "one node": ["P3"], "has one end, or is alive": ["P5"],
    "has ended": ["P5"], "a snapshot adds up": ["P6"], "closes every word": ["P7"],
    "leaves less to do": ["P7"], "once the worker has closed, threads go on": ["P7"],
    "once the last thread has left": ["P7"], "a drain discards nothing": ["P7"],
    "no thread leaves by itself": ["P7"], "nothing starts any more": ["P7"],
    "mode takes effect, unless": ["P8"], "a request is possible in every state": ["P13"],
    "start starts": ["P14"], "no other has": ["P18"], "woken for nothing": ["P18"],
    "who waits for": ["P9"], "can be cancelled": ["P20"], "what is cancelled": ["P20"],
    "asked to stop": ["P15", "P20"], "can be removed": ["P21"], "what is removed": ["P21"],
    "what is restored": ["P21"], "rejected by a removal": ["P21"], "was removed": ["P21"],
    "can be paused": ["P22"], "what is paused": ["P22"], "a pause": ["P22"],
    "that is paused": ["P22"], "is resumed": ["P22"], "all is paused": ["P22"],
    "a limit": ["P24"], "its limit": ["P24"], "than the limit": ["P24"], "waits apart": ["P24"],
    "waited apart": ["P24"],
}


def add_arguments(parts):
    parser = parts.add_parser(
        "proof", help="the protocol for any number of threads and stripes",
        description="Proves the protocol's invariants for any number of requesters, threads and "
                    "stripes (docs/proof.md), and that each broken step breaks one; Z3 first, then "
                    "cvc5 from the same questions as SMT-LIB. Exit status 0 if all is as it should "
                    "be.")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "test")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "verify")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--quick", action="store_true", help="one solver, and no broken steps")
    parser.set_defaults(run=main)


def properties_of(sentence):
    return sorted(
        {name for piece, names in PROPERTIES.items() if piece in sentence for name in names})


def entries(data, size):
    """The checks of what kstone_proof found."""
    for row in data["rows"]:
        state = "failed" if row["failures"] else "passed"
        if size == "full" and row["invariant"] and not row["serves"]:
            state = "failed"
            row["failures"] = ["nothing fails without it: it is not needed"]
        rests = f"rests on: {'; '.join(row['rests_on'])}" if row["rests_on"] else ""
        yield {
            "kind": "proof", "name": row["sentence"], "state": state,
            "message": "; ".join(row["failures"]) or rests,
            "properties": properties_of(row["sentence"]), "numbers": {"claims": row["proven"]}
        }
    counts = collections.Counter(verdict(row) for row in data["breaks"])
    survived = [row["name"] for row in data["breaks"] if verdict(row) == "survived"]
    if size == "quick":
        yield {
            "kind": "proof", "name": "broken steps", "state": "cut",
            "message": "left out of a quick run"
        }
    else:
        yield {
            "kind": "proof", "name": "broken steps",
            "state": "failed" if survived or not data["breaks"] else "passed", "message":
                "survived: " + "; ".join(survived[:5]) if survived else
                f"{counts['refuted']} refuted, {counts['the same']} proven to be the step as it "
                f"was, {counts['argued']} argued in "
                f"proof/argued.txt", "numbers": {"broken_steps": len(data["breaks"])}
        }
    said = " ".join(row["sentence"] for row in data["rows"] if row["failures"]) + " ".join(survived)
    for problem in data["problems"]:
        if not problem.startswith(("not proven", "not needed", "survived")) or not said:
            yield {"kind": "proof", "name": problem[:80], "state": "failed", "message": problem}


def verdict(row):
    return ("refuted" if row["refuted_by"] else "the same" if row["same"] else
            "argued" if row["argument"] else "survived")


def answers(script):
    """What cvc5 says to a script, and what its first line expects."""
    expected = script.open().readline().split(":", 1)[1].split()
    status, text = run([SECOND, "--incremental", "--tlimit-per=20000", str(script)], timeout=300)
    given = text.split()
    if given == expected:
        return len(expected), ""
    differ = next((i for i, pair in enumerate(zip(given, expected)) if pair[0] != pair[1]),
                  min(len(given), len(expected)))
    said = (f"{script.name}: answer {differ + 1} differs, or there is none (status {status}): "
            f"{' '.join(given[differ:differ + 3])}")
    return len(expected), said


def second_solver(folder, jobs, log):
    scripts = sorted(folder.glob("*.smt2"))
    started = time.monotonic()
    results = in_parallel(jobs, answers, scripts)
    wrong = [text for _, text in results if text]
    total = sum(count for count, _ in results)
    log(f"{SECOND}: {total} questions, {len(wrong)} scripts with another answer")
    return {
        "kind": "proof", "name": "the same by a second solver",
        "state": "failed" if wrong or not total else "passed",
        "message": "; ".join(wrong[:3]) or
                   f"{SECOND} {version_of_package(SECOND)} gives each answer that Z3 gave",
        "seconds": round(time.monotonic() - started,
                         1), "numbers": {"questions": total, "scripts": len(scripts)}
    }


def main(arguments):
    log, output = Log(), arguments.output.resolve()
    folder, found = output / "proof", output / "proof" / "found.json"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (output / "proof.json").unlink(missing_ok=True)
    size = "quick" if arguments.quick else "full"
    try:
        if build(arguments, log, ["kstone_proof"]):
            raise Failed("kstone_proof was not built: it needs libz3-dev")
    except Failed as failure:
        print(failure)
        return 1
    options = ["--quick"] if arguments.quick else [
        "--argued", ROOT / "proof" / "argued.txt", "--scripts", folder
    ]
    status, text = run(
        [str(executable(arguments, "kstone_proof")), *map(str, options), "--json",
         str(found)], timeout=1800)
    (folder / "kstone_proof.txt").write_text(text)
    data = read_json(found)
    if not data:
        print(text[-2000:])
        return 1
    log(text.splitlines()[-1])
    checks = list(entries(data, size))
    if arguments.quick:
        checks.append({
            "kind": "proof", "name": "the same by a second solver", "state": "cut",
            "message": "left out of a quick run"
        })
    elif shutil.which(SECOND):
        checks.append(second_solver(folder, arguments.jobs, log))
    else:
        checks.append({
            "kind": "proof", "name": "the same by a second solver", "state": "not_run",
            "message": f"{SECOND} is not there"
        })
    if (status == 0) != (not data["problems"]):
        checks.append({
            "kind": "proof", "name": "kstone_proof", "state": "failed",
            "message": f"ended with status {status}"
        })
    solvers = [
        data["solver"], *([f"{SECOND} {version_of_package(SECOND)}"] if not arguments.quick else [])
    ]
    (output / "proof.json").write_text(
        json.dumps(
            {
                "checks": checks, "solvers": solvers, "steps": data["steps"], "proven":
                    data["proven"], "seconds": data["seconds"],
                "breaks": dict(collections.Counter(map(verdict, data["breaks"])))
            }, indent=1) + "\n")
    red = [check for check in checks if check["state"] not in ("passed", "cut")]
    for check in red:
        print(f"RED {check['name']}: {check['state']} {check.get('message', '')}")
    log(f"proof: {'green' if not red else f'{len(red)} red'}; {data['proven']} claims of "
        f"{data['steps']} steps")
    return 1 if red else 0
