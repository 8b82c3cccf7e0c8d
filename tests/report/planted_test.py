"""Faults planted in a copy of the worker: every form of the report turns red and names the property, the line and the replay,
and the replay brings the failure back. Undone, all is green.

  planted_test.py DIRECTORY     for what is compiled
"""

import html
import json
import pathlib
import shlex
import subprocess
import sys
import types

import jsonschema

from results import ROOT, Report, Results
import evidence
import model
from build import Builder, Suites, Tree, run
from mutation import Log

HEADER, IMPLEMENTATION = "include/kstone/background_worker.h", "include/kstone/background_worker_impl.h"

# The property that has to be named, the suite that sees it, and what is changed. No change moves a line.
PLANTED = {
    "a deleted notify": ("P2", "request_then_idle_1_1",
                         [(HEADER, "    sleepers_.post(1);  // the sleeper that the exchange above claimed", "    ;")]),
    "a weakened order": ("P4", "request_twice_then_idle_1_1",
                         [(IMPLEMENTATION, "exchange(StripeWord::running_bit, std::memory_order_acquire)",
                           "exchange(StripeWord::running_bit, std::memory_order_relaxed)")]),
    "a duplicate dispatch": ("P3", "job_requests_1_2",
                             [(HEADER, "  if (before.running()) {\n    return Submission::rerun_pending;\n  }", "\n\n"),
                              (IMPLEMENTATION, "before.requests() != 0 && !before.running()", "before.requests() != 0")]),
    "undone": (None, None, []),
}


def overlay(tree, folder, edits):
    texts = {}
    for file, old, new in edits:
        text = texts.get(file, tree.text(file))
        if text.count(old) != 1:
            raise SystemExit(f"a planted fault does not match {file} exactly once: {old}")
        texts[file] = text.replace(old, new)
    for file, text in texts.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#line 1 "{file}"\n{text}')


def explored(builder, tree, directory, name, suites, edits):
    """The rows of the suites, as `scripts/verify model` has them, and the executable."""
    folder = directory / name.replace(" ", "-")
    overlay(tree, folder / "overlay", edits)
    files = [path for path in tree.scenarios() if path.name in ("no_lost_wake_up.cpp", "jobs.cpp")]
    path, errors = builder.executable(folder.name, folder / "overlay", "-O1", files)
    if not path:
        raise SystemExit(f"{name} does not compile:\n{errors[:4000]}")
    program = folder / "model_worker"
    program.unlink(missing_ok=True)
    program.symlink_to(path)
    arguments = types.SimpleNamespace(output=folder, build=folder, quick_seconds=5, seconds=600, jobs=1)
    all_names = Suites.names
    Suites.names = lambda program: [entry for entry in all_names(program) if entry[0] in suites]
    try:
        rows, _ = model.explore(arguments, Log(), "model_worker")
    finally:
        Suites.names = all_names
    check(sorted(row["name"] for row in rows) == sorted(suites), f"{name}: {suites} are not all there")
    return rows, program


def report_of(directory, rows):
    results = Results(directory)
    results.change("model", lambda document: document.update(scenarios=rows))
    found = subprocess.run([sys.executable, str(ROOT / "scripts/verification/verify.py"), "report", "--output", str(directory)],
                           capture_output=True, text=True, env={"COLUMNS": "140", "PATH": "/usr/bin:/bin"})
    report = Report(directory)
    for name, text in (("verification", report.json), ("sarif-2.1.0", report.sarif)):
        schema = json.loads((ROOT / f"scripts/verification/schema/{name}.json").read_text())
        jsonschema.Draft7Validator(schema).validate(text)
    return found, report


def check(holds, text):
    if not holds:
        raise SystemExit(f"FAILED: {text}")


def main():
    directory = pathlib.Path(sys.argv[1]).resolve()
    log = Log()
    tree = Tree(directory / "tree")
    builder = Builder(tree, directory, 1)
    builder.objects = builder.model_objects()
    texts = {entry["id"]: entry["text"] for entry in evidence.Collector(directory).properties}
    every = [suite for _, suite, _ in PLANTED.values() if suite]
    for name, (property_, suite, edits) in PLANTED.items():
        log(f"{name}: compiling")
        rows, program = explored(builder, tree, directory, name, [suite] if suite else every, edits)
        found, report = report_of(directory / name.replace(" ", "-") / "report", rows)
        if property_ is None:
            check(found.returncode == 0, f"{name}: exit status {found.returncode}\n{found.stdout}{found.stderr}")
            check(report.json["verdict"] == "passed" and not report.sarif["runs"][0]["results"] and
                  "<failure" not in report.junit and "<error" not in report.junit and report.markdown.startswith("# ✓") and
                  '"verdict passed"' in report.html, f"{name}: some form is not green")
            log(f"{name}: all green")
            continue
        check(found.returncode == 1, f"{name}: exit status {found.returncode}\n{found.stdout}{found.stderr}")
        failed = [c for c in report.json["checks"] if c["state"] == "failed" and property_ in c["properties"]]
        check(failed, f"{name}: no check of {property_} failed")
        first = failed[0]
        counterexample = next(c for c in report.json["counterexamples"] if c["id"] == first["counterexample"])
        check(counterexample["steps"] and len(counterexample["lanes"]) > 1, f"{name}: no interleaving")
        check(report.sarif["runs"][0]["results"][0]["codeFlows"][0]["threadFlows"], f"{name}: no code flow")
        forms = {"JSON": json.dumps(report.json, ensure_ascii=False), "JUnit": html.unescape(report.junit),
                 "SARIF": json.dumps(report.sarif, ensure_ascii=False), "Markdown": html.unescape(report.markdown),
                 "HTML": html.unescape(report.html.replace("<code>", "`").replace("</code>", "`")), "terminal": found.stdout}
        for form, text in forms.items():
            for word in (texts[property_], first["file"], str(first["line"]), counterexample["replay"]):
                check(word in text, f"{name}: {form} does not name {word}")
        line = shlex.split(counterexample["replay"])[2]
        status, output = run([str(program), "--replay", line], timeout=60)
        check(status == 1 and counterexample["message"] in output, f"{name}: the replay ends with {status}:\n{output[-2000:]}")
        log(f"{name}: {first['name']}: {counterexample['failure']}, {counterexample['preemptions']} preemptions, "
            f"{len(counterexample['steps'])} steps, at {first['file']}:{first['line']}; replayed")


if __name__ == "__main__":
    main()
