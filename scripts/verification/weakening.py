"""scripts/verify weakening: each memory order, one step weaker, must be noticed by a suite, or be
kept for a stated reason."""

import argparse
import json
import os
import pathlib
import re
import shutil

from build import ROOT, Builder, Failed, Suites, Tree, in_parallel, run
import lanes
from mutation import Log, merge_into_model_json
from pace import Share

HERE = pathlib.Path(__file__).resolve().parent
ORDERED = re.compile(r"memory_order_(acq_rel|acquire|release|seq_cst)")
FOLDERS = ("include/kstone", "src")
# Each order and what is one step weaker; acq_rel both ways, and then neither.
STEPS = {
    "acq_rel": ["acquire", "release", "relaxed"], "acquire": ["relaxed"], "release": ["relaxed"]
}
SEQ_CST = {"load": "acquire", "store": "release"}  # of a read-modify-write: acq_rel


def add_arguments(parts):
    parser = parts.add_parser(
        "weakening", help="each memory order one step weaker",
        description="Weakens the order of each labelled atomic operation of the worker by one step "
                    "and searches for a suite that turns red.")
    parser.add_argument("--build", type=pathlib.Path,
                        default=ROOT / "build" / "verify" / "weakening")
    parser.add_argument("--suites", type=pathlib.Path,
                        help="the executable model_worker; by default it is built")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--seconds", type=float, default=20, help="for one suite (20)")
    parser.set_defaults(run=main)


def operations(root):
    """Label -> (file, first line, last line, order) of each labelled operation in the sources."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cpp") or path.parent.name == "rocksdb":
                continue
            lines = path.read_text().splitlines()
            for number, line in enumerate(lines, 1):
                match = re.search(r"//.*?\[([A-Z]\d+)\] (acq_rel|acquire|release|seq_cst)\b", line)
                if not match:
                    continue
                # The operation that the comment is about: the next lines of code, to the one that
                # has the order.
                end = next((n for n in range(number, min(number + 9, len(lines)))
                            if ORDERED.search(lines[n].split("//")[0])), None)
                if end is None:
                    raise SystemExit(
                        f"{path}:{number}: no ordered operation follows the label {match[1]}")
                file = str(path.relative_to(root))
                found[match[1]] = (file, number + 1, end + 1, match[2])
    return found


def arguments_of(text):
    """arguments.txt: "LABEL ORDER -> WEAKER: sentence", continued on indented lines."""
    found, key = {}, None
    for line in text.splitlines():
        match = re.match(r"([A-Z]\d+) (\w+) -> (\w+): (.*)", line)
        if match:
            key = (match[1], match[2], match[3])
            found[key] = match[4]
        elif line.startswith(" ") and key:
            found[key] += " " + line.strip()
    return found


def site_of(site):
    match = re.match(r"(.*):(\d+):([\w ]+?)(?:#\d+)?$", site)
    return match[1], int(match[2]), match[3]


def weaken(suites, root, log, seconds, jobs, directory, tried):
    """Every step of every order, each until a suite notices. `tried`: what suites said without any,
    for as many seconds, if they were asked already."""
    known = operations(root)
    sites, times = {}, {}
    names = [name for name, _, must_fail in suites.names() if not must_fail]
    for result in in_parallel(jobs, lambda name: tried.get(name) or suites.run(name, seconds),
                              names):
        if result["outcome"] in ("green", "unfinished"):
            times[result["suite"]] = result["seconds"]
            for site in result["entry"]["sites"]:
                sites.setdefault(site["site"],
                                 {"order": site["order"], "object": site["object"], "suites": []
                                  })["suites"].append(result["suite"])
        else:
            log(f"RED without any weakening, and so no judge: {result['suite']}: "
                f"{result['message']}")
    log(f"{len(times)} suites execute {len(sites)} atomic operations; the sources have "
        f"{len(known)} labelled ones")

    histories = directory / "histories"
    histories.mkdir(parents=True, exist_ok=True)
    rows, problems, seen = [], [], set()
    declared = arguments_of((HERE / "arguments.txt").read_text())
    labelled = {}
    for site, data in sites.items():
        file, line, operation = site_of(site)
        if not ORDERED.search("memory_order_" + data["order"]):
            continue
        label = next((label for label, (where, first, last, _) in known.items()
                      if where.endswith(file.split("kstone/")[-1]) and first <= line <= last), None)
        if label is None:
            if "model/" not in file and pathlib.Path(file).name in {
                    pathlib.Path(k[0]).name for k in known.values()
            }:
                problems.append(f"an ordered operation without a label: {site}")
            continue
        labelled[label] = (site, operation, data)

    steps = []
    for label, (file, first, last, order) in sorted(known.items()):
        weaker = STEPS.get(order)
        if order == "seq_cst":
            text = "\n".join((root / file).read_text().splitlines()[first - 1:last])
            weaker = [
                next((value for word, value in SEQ_CST.items() if f".{word}(" in text), "acq_rel")
            ]
        steps += [(label, order, step) for step in weaker]

    def one(step):
        label, order, weaker = step
        row = {
            "label": label, "where": known[label][0], "from": order, "to": weaker,
            "verdict": "missed", "suite": "", "why": "", "history": ""
        }
        if label not in labelled:
            row["why"] = "no suite executes it"
            return row
        site, operation, data = labelled[label]
        cut = 0
        for name in sorted(data["suites"], key=times.get):
            result = suites.run(name, seconds if times[name] > seconds / 2 else 2 + 4 * times[name],
                                ["--demote", f"{site}={weaker}"], minimize=False)
            if result["outcome"] in ("refuted", "crash", "hang"):
                path = histories / f"{label}-{weaker}.json"
                path.write_text(
                    json.dumps(
                        {
                            "label": label, "from": order, "to": weaker, "site": site,
                            "suite": name, "failure": result.get("failure", ""), "message":
                                result["message"], "replay": result["replay"],
                            "demote": f"{site}={weaker}", "output": result["output"],
                            "counterexample": lanes.counterexample(result.get("entry", {}))
                        }, indent=1, ensure_ascii=False) + "\n")
                row.update(verdict="caught", suite=name,
                           why=result.get("failure", result["outcome"]),
                           history=str(path.relative_to(directory.parent)))
                return row
            cut += result["outcome"] == "unfinished"
        row["why"] = f"{len(data['suites']) - cut} suites stay green, {cut} were cut"
        if cut and Share.given().is_limited():
            row["verdict"] = "cut"  # it may be noticed further on
        return row

    rows = in_parallel(jobs, one, steps)
    for row in rows:
        key = (row["label"], row["from"], row["to"])
        if row["verdict"] in ("missed", "cut") and key in declared:
            row["verdict"], row["argument"] = "argued", declared[key]
        elif row["verdict"] == "caught" and key in declared:
            problems.append(
                f"argued for, but {row['suite']} notices it: {key[0]} {key[1]} -> {key[2]}")
    for key in declared:
        if key not in [(row["label"], row["from"], row["to"]) for row in rows]:
            problems.append(f"argued for, but there is no such step: {key[0]} {key[1]} -> {key[2]}")
    count = {
        verdict: sum(row["verdict"] == verdict for row in rows)
        for verdict in ("caught", "argued", "missed", "cut")
    }
    for row in rows:
        print(
            f"  {row['label']:4} {row['from']:8} -> {row['to']:8} {row['verdict']:7} "
            f"{row['suite'] or row['why']}"
            + (f" ({row['why']})" if row["suite"] else ""), flush=True)
    for problem in problems:
        print(f"PROBLEM {problem}")
    return {"ran": True, "total": len(rows), **count, "problems": problems, "list": rows}


def main(arguments):
    log = Log()
    arguments.build.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(arguments.build / "rest", ignore_errors=True)
    try:
        tree = Tree(arguments.build / "tree")
        path = arguments.suites
        if path is None:
            builder = Builder(tree, arguments.build, arguments.jobs)
            log("compiling the suites")
            builder.objects = builder.model_objects()
            path, errors = builder.executable("plain")
            if not path:
                raise Failed(f"the suites do not compile:\n{errors[:6000]}")
        result = weaken(Suites(path, arguments.build), tree.directory, log, arguments.seconds,
                        arguments.jobs, arguments.build, {})
    except Failed as failure:
        print(failure)
        merge_into_model_json("weakenings", {"ran": False, "why": str(failure)[:500]},
                              arguments.build.parent)
        return 1
    merge_into_model_json("weakenings", result, arguments.build.parent)
    log(f"weakenings: {result['total']}: {result['caught']} caught, {result['argued']} argued, "
        f"{result['missed']} missed")
    return 0 if result["missed"] == 0 and not result["problems"] and result["total"] else 1
