"""What the gate of an engine found (docs/gate.md), for code scanning and for people: gate.sarif and
gate.md beside its results.

  gate_report.py gate.json [--root DIRECTORY]

Needs Python alone, and the two files beside it. The exit status is 0 if the report was written, be
the gate green or red, and 2 if there are no results, as of a gate that did not end."""

import argparse
import datetime
import json
import os
import pathlib
import sys

import lanes
import writers

SUFFIXES = {".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inc", ".ipp"}

# The rules of what has no counter-example; the others are called as the failure is.
KINDS = {
    "unknown": "a search that did not end",
    "unexpected": "a suite that passes although it must not, or misses its events"
}


class Sources:
    """The sources of the engine: not what was built, nor other repositories within."""

    def __init__(self, root):
        self.root, self.files, by_name = root.resolve(), set(), {}
        for folder, folders, names in os.walk(root):
            here = pathlib.Path(folder)
            folders[:] = sorted(name for name in folders if not name.startswith(".") and not any(
                (here / name / mark).exists() for mark in (".git", "CMakeCache.txt")))
            for path in (here / name for name in names if pathlib.Path(name).suffix in SUFFIXES):
                file = path.relative_to(root).as_posix()
                self.files.add(file)
                by_name.setdefault(path.name, []).append(file)
        self.paths = {name: files[0] for name, files in by_name.items() if len(files) == 1}

    def path_of(self, path):
        """From the root, of a file that the compiler was given; else by its name, unless two files
        have it."""
        if pathlib.Path(path).is_absolute() and pathlib.Path(path).is_relative_to(self.root):
            path = pathlib.Path(path).relative_to(self.root).as_posix()
        name = pathlib.PurePath(path).name
        return path if path in self.files else self.paths.get(name, name)

    def is_own(self, file):
        return file in self.files


def document_of(suites, sources):
    """As evidence.py makes it of kstone's own results, as far as writers.py needs it here."""
    checks, counterexamples, kinds = [], [], dict(KINDS)
    for suite in suites:
        why = suite["why"] or suite["message"] or suite.get("reason", "")
        fails = suite["failure"] != "none"
        kind = (suite["failure"] if fails else
                "unknown" if suite["verdict"] == "unknown" else "unexpected").replace(" ", "-")
        kinds.setdefault(kind, suite["failure"])
        found = lanes.counterexample(suite, sources.path_of)
        check = {
            "id": suite["name"], "name": suite["name"], "kind": kind,
            "state": "passed" if suite["green"] else "failed", "message": why,
            "properties": suite.get("property", "").split()
        }
        place = lanes.culprit(found, sources.is_own)
        if not sources.is_own(place[0]):  # a result has to stand somewhere: where the suite is made
            place = sources.path_of(suite["suite_file"]), suite["suite_line"]
        if not sources.is_own(place[0]):
            place = "CMakeLists.txt", 1
        check["file"], check["line"] = place
        if fails:
            check["counterexample"] = suite["name"]
            found["table"] = suite.get("table", "")
            counterexamples.append({
                **found, "id": suite["name"], "failure": suite["failure"],
                "message": suite["message"] or why, "file": place[0], "line": place[1],
                "replay": f"--replay '{suite['replay']}'",
                "fewest_preemptions": suite.get("fewest_preemptions")
            })
        checks.append(check)
    return {
        "verdict": "passed" if all(suite["green"] for suite in suites) else "failed",
        "size": "full", "project": {"version": ""},
        "generated": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "kinds": kinds, "properties": [], "coverage": {}, "checks": checks,
        "counterexamples": counterexamples
    }


def markdown(document, suites):
    red = sum(not suite["green"] for suite in suites)
    words = f"{red} of {len(suites)} suites red" if red else "every suite green"
    lines = [
        f"# {writers.MARKS[document['verdict']]} Gate: {words}", "", *writers.unfolded(document)
    ]
    lines += ["| Suite | | Result | Executions | Time |", "|---|---|---|---|---|"]
    for suite in suites:
        result = suite["verdict"] + (f": {suite['failure']}" if suite["failure"] != "none" else "")
        lines.append(
            f"| {suite['name']} | {writers.MARKS['passed' if suite['green'] else 'failed']} | "
            f"{result}{', as it must be' if suite.get('must_fail') and suite['green'] else ''} | "
            f"{suite['executions_complete']:,} + {suite['executions_redundant']:,} | "
            f"{suite['seconds']:.2f} s |")
    return writers.fitted("\n".join(lines) + "\n", "gate.json")


def main():
    parser = argparse.ArgumentParser(
        description="Writes SARIF and Markdown of the results of a gate beside them.")
    parser.add_argument("results", type=pathlib.Path, help="what the gate wrote with --json")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(),
                        help="of the engine's repository (here)")
    arguments = parser.parse_args()
    try:
        suites = json.loads(arguments.results.read_text())["scenarios"]
    except (OSError, ValueError, LookupError) as problem:
        print(f"no results of a gate: {arguments.results}: {problem}", file=sys.stderr)
        return 2
    document = document_of(suites, Sources(arguments.root))
    texts = {
        ".sarif": json.dumps(writers.sarif(document, "kstone gate"), indent=1, ensure_ascii=False) +
                  "\n", ".md": markdown(document, suites)
    }
    for suffix, text in texts.items():
        arguments.results.with_suffix(suffix).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
