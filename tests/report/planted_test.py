"""Faults planted in a copy of the worker: every form of the report turns red and names the
property, the line and the replay, and the replay brings the failure back. Undone, all is green.

  planted_test.py DIRECTORY BUILD OBJECT...

DIRECTORY: for what is compiled. BUILD: of CMake, with the OBJECTs of kstone_model and model_worker.
"""

import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import types

import jsonschema

from results import ROOT, Report, Results
import ending
import model
import replay
from build import CXX, Builder, Suites, Tree, run
from built import Built
from mutation import Log

INBOX = "include/kstone/detail/shell/inbox.h"
PUSHING = "include/kstone/detail/shell/pushing.h"

# The property and the line that have to be named, the suite that sees it, and what is changed. No
# change moves a line.
PLANTED = {
    "a deleted notify": ("P2", "  change.wait(held);", "request_then_idle_1_1", [
        (PUSHING, "    sleepers_.post(1);  // the sleeper that the exchange above claimed", "    ;")
    ]),
    "a weakened order": ("P4", "  ~ScopedLock() KSTONE_RELEASE() { mutex_.unlock(); }",
                         "request_twice_then_idle_1_1", [
                             (INBOX, "exchange(now, std::memory_order_acquire)",
                              "exchange(now, std::memory_order_relaxed)")
                         ]),
    "a duplicate dispatch":
        ("P3", "  auto& core = state_.write().core;", "job_requests_1_2",
         [(PUSHING, "  if (before.running()) {\n    return Submission::rerun_pending;\n  }",
           "\n\n"),
          (INBOX, "before.requests() != 0 && !before.running()", "before.requests() != 0")]),
    "undone": (None, None, None, []),
}
# Of the same properties; to prove job_requests_1_2 takes minutes.
UNDONE = ["request_then_idle_1_1", "request_then_idle_1_2", "request_twice_then_idle_1_1"]
ALL = [*UNDONE, "job_requests_1_2"]
# Where these suites are. Each is a worker of its own to the compiler, so of a file only those that
# are asked for are compiled.
FILES = {"no_lost_wake_up.cpp": UNDONE, "jobs.cpp": ["job_requests_1_2"]}
# The one whose replay is also run as the report prints it, in a checkout that has this suite alone.
IN_A_CHECKOUT = "a deleted notify"


def files_of(tree, suites):
    return [path for path in tree.scenarios() if set(FILES.get(path.name, [])) & set(suites)]


def with_only(text, suites):
    """A file of scenarios that registers these suites, and nothing moved."""

    def kept(entry):
        name = re.search(r'\.name = "(\w+)"', entry[0])[1]
        return entry[0] if name in suites else "\n" * entry[0].count("\n")

    return re.sub(r"^    (?:proved|refuted)\w*<.*?^    \}\),$", kept, text, flags=re.M | re.S)


def edited(tree, suites, edits):
    texts = {
        f"model/worker/{path.name}": with_only(path.read_text(), suites)
        for path in files_of(tree, suites)
    }
    for file, old, new in edits:
        text = texts.get(file, tree.text(file))
        if text.count(old) != 1:
            raise SystemExit(f"a planted fault does not match {file} exactly once: {old}")
        texts[file] = text.replace(old, new)
    return texts


def overlay(folder, texts):
    for file, text in texts.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#line 1 "{file}"\n{text}')


def explored(builder, built, directory, name, suites, edits):
    """The rows of the suites, as `scripts/verify model` has them, and the executable."""
    folder = directory / name.replace(" ", "-")
    shutil.rmtree(folder, ignore_errors=True)  # of another fault's changes
    # Undone, there is also what the executions of the faults are of.
    compiled = ALL if suites == UNDONE else suites
    texts = edited(builder.tree, compiled, edits)
    overlay(folder / "overlay", texts)
    builder.built = {**built.rest(), **built.not_reading(texts)}
    path, errors = builder.executable(folder.name, folder / "overlay", "-O1",
                                      files_of(builder.tree, compiled))
    if not path:
        raise SystemExit(f"{name} does not compile:\n{errors[:4000]}")
    program = folder / "model_worker"
    program.unlink(missing_ok=True)
    program.symlink_to(path)
    arguments = types.SimpleNamespace(output=folder, build=folder, quick_seconds=5, seconds=600,
                                      jobs=1)
    all_names = Suites.names
    Suites.names = lambda program: [entry for entry in all_names(program) if entry[0] in suites]
    try:
        rows, _ = model.explore(arguments, Log(), "model_worker", {})
    finally:
        Suites.names = all_names
    check(
        sorted(row["name"] for row in rows) == sorted(suites),
        f"{name}: {suites} are not all there")
    return rows, program


def report_of(directory, rows):
    results = Results(directory)
    results.change("model", lambda document: document.update(scenarios=rows))
    found = subprocess.run([
        sys.executable,
        str(ROOT / "scripts/verification/verify.py"), "report", "--output",
        str(directory)
    ], capture_output=True, text=True, env={"COLUMNS": "140", "PATH": "/usr/bin:/bin", "CXX": CXX})
    report = Report(directory)
    for name, text in (("verification", report.json), ("sarif-2.1.0", report.sarif)):
        schema = json.loads((ROOT / f"scripts/verification/schema/{name}.json").read_text())
        jsonschema.Draft7Validator(schema).validate(text)
    return found, report


def replayed_in_a_checkout(tree, built, folder, suite, edits, command):
    """(status, output) of the command that the report prints, where somebody has a worker with this
    fault, and has compiled what does not depend on it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns("build", ".git", "__pycache__"))
    texts = edited(tree, [suite], edits)
    for file, text in texts.items():
        (folder / file).write_text(text)
    rest = {path.name for path in set(tree.scenarios()) - set(files_of(tree, [suite]))}
    listed = folder / "model" / "worker" / "CMakeLists.txt"
    listed.write_text("".join(
        line for line in listed.read_text().splitlines(True) if line.strip() not in rest))
    built.is_listed(folder, texts)
    return run(["bash", "-c", command], cwd=folder, timeout=900)


def check(holds, text):
    if not holds:
        raise SystemExit(f"FAILED: {text}")


def main():
    ending.with_all_children("planted_test")
    directory = pathlib.Path(sys.argv[1]).resolve()
    log = Log()
    tree = Tree(directory / "tree")
    builder = Builder(tree, directory, 1)
    built = Built(tree, sys.argv[2], sys.argv[3:])
    builder.objects = built.explorer()
    lines = {}
    for name, (property_, statement, suite, edits) in PLANTED.items():
        log(f"{name}: compiling")
        rows, program = explored(builder, built, directory, name, [suite] if suite else UNDONE,
                                 edits)
        found, report = report_of(directory / name.replace(" ", "-") / "report", rows)
        if property_ is None:
            check(found.returncode == 0,
                  f"{name}: exit status {found.returncode}\n{found.stdout}{found.stderr}")
            check(
                report.json["verdict"] == "passed" and not report.sarif["runs"][0]["results"]
                and "<failure" not in report.junit and "<error" not in report.junit
                and report.markdown.startswith("# ✓") and '"verdict passed"' in report.html,
                f"{name}: some form is not green")
            for fault, line in lines.items():
                status, sentence = replay.replayed(program, line)
                check(status in (0, 2), f"{name}: the execution of {fault}: {sentence}")
            log(f"{name}: all green")
            continue
        check(found.returncode == 1,
              f"{name}: exit status {found.returncode}\n{found.stdout}{found.stderr}")
        failed = [
            c for c in report.json["checks"]
            if c["state"] == "failed" and property_ in c["properties"]
        ]
        check(failed, f"{name}: no check of {property_} failed")
        first = failed[0]
        counterexample = next(
            c for c in report.json["counterexamples"] if c["id"] == first["counterexample"])
        check(counterexample["steps"] and len(counterexample["lanes"]) > 1,
              f"{name}: no interleaving")
        check(report.sarif["runs"][0]["results"][0]["codeFlows"][0]["threadFlows"],
              f"{name}: no code flow")
        # What they have to name is not taken from the report: the statement is ours, and the
        # choices are the explorer's.
        at = (ROOT / first["file"]).read_text().splitlines()[first["line"] - 1]
        check(at == statement, f"{name}: {first['file']}:{first['line']} reads\n{at}")
        line = lines[name] = rows[0]["replay"]
        command = shlex.join(["scripts/verify", "replay", line])
        unnamed = report.unnamed(found.stdout, property_, first["file"], first["line"], command)
        check(not unnamed, f"{name}: not named where the form speaks of the failure: {unnamed}")
        status, output = run([str(program), "--replay", line], timeout=60)
        check(status == 1 and counterexample["message"] in output,
              f"{name}: the replay ends with {status}:\n{output[-2000:]}")
        log(f"{name}: {first['name']}: {counterexample['failure']}, "
            f"{counterexample['preemptions']} preemptions, {len(counterexample['steps'])} steps, "
            f"at {first['file']}:{first['line']}; replayed")
        if name == IN_A_CHECKOUT:
            status, output = replayed_in_a_checkout(tree, built, directory / "checkout", suite,
                                                    edits, command)
            check(
                status == 1 and
                f"replay: this execution fails: {counterexample['failure']}: "
                f"{counterexample['message']}"
                in output, f"{name}: {command} ends with {status}:\n{output[-2000:]}")
            log(f"{name}: {command} brings it back")


if __name__ == "__main__":
    main()
