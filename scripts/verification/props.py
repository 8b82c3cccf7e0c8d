"""scripts/verify props: the core enumerated and in random sequences, generated programs explored,
mutants tried on them."""

import json
import os
import pathlib
import time

import programs
import stress
from build import ROOT, Failed, last_line, run
from evidence import read_json
from findings import LEAST, found_in
from model import build, executable
from mutation import Log

PARTS = ["core", "programs", "mutants"]
EXECUTABLES = ["kstone_core_enumeration", "kstone_core_properties", "kstone_programs"]
# Of the drawn mutants, so many must be found by some program.
FOUND_AT_LEAST = 18
# What a program that is explored and explained says something about.
PROPERTIES = [
    "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P14", "P15", "P17"
]
TOTALS = [
    "core_states", "core_transitions", "sequences", "programs", "programs_complete", "executions",
    "programs_nontrivial", "programs_holding_back", "programs_real_time", "mutants_tried",
    "mutants_found"
]


def add_arguments(parts):
    parser = parts.add_parser(
        "props", help="the core enumerated, random sequences, generated programs",
        description="Enumerates the scheduling core and drives it through random sequences, "
                    "explores generated concurrent programs, and tries the drawn mutants on them. "
                    "Exit status 0 if every part ran and is as it should be.")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "test")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "verify")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--quick", action="store_true", help="small sizes, and no mutants")
    parser.add_argument("--only", action="append", default=[], choices=PARTS,
                        help="leave the other parts out; they show as not run")
    parser.add_argument("--programs", type=int, default=3500, help="generated programs (3,500)")
    parser.add_argument("--budget", type=int, default=30000,
                        help="executions of one of them (30,000)")
    parser.add_argument("--sequences", type=int, default=100000,
                        help="random sequences of the core (100,000)")
    parser.add_argument("--seed", type=int, default=programs.SEED,
                        help="of the programs and the sequences")
    programs.add_options(parser)
    parser.set_defaults(run=main)


def not_run(part, why):
    kind, name = {"core": ("core", "the core"), "programs": ("program", "generated programs"),
                  "mutants": ("program", "drawn mutants")}[part]
    return {"kind": kind, "name": name, "state": "not_run", "message": why}


def main(arguments):
    log = Log()
    output = arguments.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    if arguments.quick:
        arguments.programs, arguments.budget, arguments.sequences = 120, 8000, 2000
    size = "quick" if arguments.quick else "full"
    totals, checks, seconds = {}, {}, {}

    def save():
        others = {
            key: value for key, value in read_json(output / "props.json").items()
            if key in ("stress", "coverage", *stress.TOTALS)
        }
        (output / "props.json").write_text(
            json.dumps(
                {
                    **others, **{key: totals.get(key, 0) for key in TOTALS}, "seconds": seconds,
                    "programs_detail": totals.get("detail", {}), "mutants": totals.get(
                        "mutants", []), "checks": [
                            check for part in PARTS
                            for check in checks.get(part, [not_run(part, "not run")])
                        ]
                }, indent=1) + "\n")

    def tool(name, *options, env=None):
        status, text = run([str(executable(arguments, name)), *map(str, options)],
                           env=dict(os.environ, **(env or {})), timeout=5400)
        (output / f"{name}.txt").write_text(text)
        return status, text

    def core():
        path = output / "core.json"
        path.unlink(missing_ok=True)
        tool("kstone_core_enumeration", *([] if arguments.quick else ["--full"]), "--json", path)
        tool("kstone_core_properties", "--sequences", arguments.sequences, "--length",
             60 if arguments.quick else 400, "--json", path,
             env={"RC_PARAMS": f"seed={arguments.seed} max_success=2000 max_size=100"})
        data = read_json(path)
        missing = [key for key in ("core_states", "sequences") if not data.get(key)]
        if missing:
            raise Failed(f"no {' and no '.join(missing)}: see the texts beside props.json")
        totals.update({key: data[key] for key in ("core_states", "core_transitions", "sequences")})
        return [{**check, "properties": ["P5"]} for check in found_in(data, size)]

    def generated():
        path = output / "programs.json"
        path.unlink(missing_ok=True)
        options = [] if arguments.quick else ["--all-answers"]
        status, text = tool("kstone_programs", "--programs", arguments.programs, "--budget",
                            arguments.budget, "--seed", arguments.seed, "--jobs", arguments.jobs,
                            "--json", path, *options)
        data = read_json(path)
        if not data or (status == 0) != (not data["failed"]):
            raise Failed(f"kstone_programs: {last_line(text)}")
        log(last_line(text))
        totals.update({
            key: data[key] for key in ("programs", "programs_complete", "executions",
                                       "programs_nontrivial", "programs_holding_back",
                                       "programs_real_time")
        })
        totals["detail"] = {**{key: data[key] for key in ("histories", "histogram", "answers")},
                            "budget": arguments.budget, "least": LEAST[size]._asdict()}
        return [{**check, "properties": PROPERTIES}
                for check in found_in(data, size, arguments.programs)]

    def mutants():
        if arguments.quick:
            return [{**not_run("mutants", "left out of a quick run"), "state": "cut"}]
        entries = programs.try_mutants(programs.drawn(), output / "programs", arguments.jobs,
                                       arguments.mutant_programs, arguments.mutant_budget,
                                       arguments.seed, arguments.mutant_seconds, log)
        found = sum(entry["found"] for entry in entries)
        totals.update(mutants_tried=len(entries), mutants_found=found, mutants=entries)
        missed = "; ".join(entry["name"] for entry in entries if not entry["found"])
        return [{
            "kind": "program", "name": "drawn mutants",
            "state": "passed" if found >= FOUND_AT_LEAST else "failed",
            "message": f"{found} of {len(entries)} found" +
                       (f"; not found: {missed}" if missed else ""), "properties": PROPERTIES,
            "numbers": {"mutants_tried": len(entries), "mutants_found": found}
        }]

    save()
    try:
        missing = build(arguments, log, EXECUTABLES)
        if missing:
            raise Failed("not built: " + ", ".join(missing))
    except Failed as failure:
        print(failure)
        log("the build failed")
        return 1
    for part, function in zip(PARTS, (core, generated, mutants)):
        if arguments.only and part not in arguments.only:
            continue
        started = time.monotonic()
        try:
            checks[part] = function()
        except Failed as failure:
            checks[part] = [{**not_run(part, str(failure)), "state": "failed"}]
        seconds[part] = round(time.monotonic() - started)
        log(f"{part}: {seconds[part]} s")
        save()
    # Less was asked for: that is no fault of what ran, and the record of the part says so.
    left_out = {part for part in PARTS if arguments.only and part not in arguments.only}
    red = 0
    for part in PARTS:
        for check in checks.get(part, [not_run(part, "not run")]):
            fewer = check["state"] == "cut" and (arguments.quick
                                                 or check.get("verdict") == "unknown")
            if check["state"] != "passed" and not fewer and part not in left_out:
                red += 1
                print(f"RED {check['name']}: {check['state']} {check.get('message', '')}")
    log("props: " + ("green" if not red else f"{red} red") + "; " +
        ", ".join(f"{key} {totals.get(key, 0):,}" for key in TOTALS))
    return 1 if red else 0
