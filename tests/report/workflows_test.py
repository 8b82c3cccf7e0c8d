"""The workflow files beside the repository: the scripts, presets and paths that a step names are
there, what it uploads is what its commands write, and it has the permission. What GitHub itself
makes of them, nobody runs here."""

import json
import os
import pathlib
import re
import shlex
import tempfile
import unittest

import yaml

from results import ROOT, Results
import everything

# With the root of the repository that it is for.
WORKFLOWS = {
    ".github/workflows/verify.yml": "", "examples/model_gate/gate.yml": "examples/model_gate"
}
PRESETS = json.loads((ROOT / "CMakePresets.json").read_text())


def written_by_verify():
    """What a report consists of, by writing one."""
    with tempfile.TemporaryDirectory() as folder:
        _, report = Results(folder).write()
        return {
            str(everything.OUTPUT.relative_to(ROOT) / path.name)
            for path in report.directory.iterdir()
        }


def written_by_gate():
    """What consumer.model_gate finds after it ran ./gate."""
    text = (ROOT / "tests/consumer_checks/build_consumer.cmake").read_text()
    return set(re.search(r"set\(written_by_gate ([^)]+)\)", text)[1].split())


WRITTEN = {"scripts/ci": written_by_verify(), "./gate": written_by_gate()}


def presets(kind):
    return {entry["name"]: entry for entry in PRESETS[f"{kind}Presets"] if not entry.get("hidden")}


class Job:
    """The steps of a job, one after the other; `problems` is what is wrong with them."""

    def __init__(self, workflow, job, home):
        # those of a job are all that it has
        self.permissions = job.get("permissions", workflow.get("permissions", {}))
        self.checkouts, self.made, self.written, self.problems = {}, set(), set(), []
        for step in job["steps"]:
            uses, given = step.get("uses", "").split("@")[0], step.get("with", {})
            if uses == "actions/checkout":
                self.checkouts[given.get("path",
                                         ".")] = ROOT if "repository" in given else ROOT / home
            for line in step.get("run", "").splitlines():
                self.command(line, step.get("working-directory", "."))
            for path in given.get("path", "").split() if uses == "actions/upload-artifact" else []:
                self.uploaded(path)
            if uses == "github/codeql-action/upload-sarif":
                self.uploaded(given["sarif_file"])
                if self.permissions.get("security-events") != "write":
                    self.problems.append(
                        "upload-sarif without the permission security-events: write")

    def uploaded(self, path):
        if path not in self.written:
            self.problems.append(f"no command writes what is uploaded: {path}")

    def command(self, line, folder):
        words = shlex.split(line, comments=True)
        kind = "configure"
        for position, word in enumerate(words):
            before = words[position - 1] if position else "&&"
            path = re.sub(r"^(-D\w+=)?(\$PWD/)?", "", word)
            if word in ("--build", "--workflow") or word == "ctest":
                kind = {"--build": "build", "--workflow": "workflow", "ctest": "test"}[word]
            if before == "--preset":
                self.preset(kind, word, folder)
            elif before == "--prefix":
                self.made.add(os.path.normpath(f"{folder}/{path}"))
            elif "/" in path and not path.startswith("/"):
                self.named(os.path.normpath(f"{folder}/{path}"), before in ("&&", "||", ";", "|"))
            if word in WRITTEN and folder == ".":
                self.written |= WRITTEN[word]

    def preset(self, kind, name, folder):
        if name not in presets(kind):
            self.problems.append(f"there is no {kind} preset {name}")
        elif kind == "configure":
            self.made.add(os.path.normpath(f"{folder}/build/{name}"))

    def named(self, path, runs):
        """A path from the folder of the job: it is made by an earlier command, or lies in a
        checkout."""
        if path in self.made:
            return
        # those in folders first
        for checkout, root in sorted(self.checkouts.items(), reverse=True):
            if checkout == "." or path == checkout or path.startswith(f"{checkout}/"):
                found = root / os.path.relpath(path, checkout)
                # what somebody has built here does not count
                if "build" in found.relative_to(ROOT).parts or not found.exists():
                    self.problems.append(f"there is no {path}")
                elif runs and not os.access(found, os.X_OK):
                    self.problems.append(f"{path} is not executable")
                return
        self.problems.append(f"{path} is named before a checkout")


def problems(text, home):
    workflow = yaml.safe_load(text)
    return [
        problem for job in workflow["jobs"].values()
        for problem in Job(workflow, job, home).problems
    ]


class WorkflowsTest(unittest.TestCase):
    def test_what_they_name_is_there(self):
        for file, home in WORKFLOWS.items():
            with self.subTest(file=file):
                self.assertEqual(problems((ROOT / file).read_text(), home), [])

    def test_every_workflow_is_looked_at(self):
        found = {str(path.relative_to(ROOT)) for path in (ROOT / ".github/workflows").iterdir()}
        self.assertLessEqual(found, set(WORKFLOWS))

    def test_each_kind_of_mistake_is_noticed(self):
        verify, gate = WORKFLOWS
        for file, old, new, problem in (
            (verify, "run: scripts/ci", "run: scripts/cj",
             "there is no scripts/cj"), (verify, "run: scripts/ci",
                                         "run: ./README.md && scripts/ci",
                                         "README.md is not executable"),
            (verify, "run: scripts/ci", "run: scripts/test",
             "no command writes what is uploaded: build/verify/index.html"),
            (verify, "      - uses: actions/checkout@v6\n", "",
             "scripts/ci is named before a checkout"),
            (verify, "            build/verify/junit.xml", "            build/verify/junit.html",
             "no command writes what is uploaded: build/verify/junit.html"),
            (verify, "sarif_file: build/verify/results.sarif", "sarif_file: build/results.sarif",
             "no command writes what is uploaded: build/results.sarif"),
            (verify, "  security-events: write", "  issues: write",
             "upload-sarif without the permission security-events: write"),
            (verify, "    timeout-minutes: 90\n", "    permissions:\n      contents: read\n",
             "upload-sarif without the permission security-events: write"),
            (gate, "run: ./gate", "run: ./gates",
             "there is no gates"), (gate, "cmake --preset gate", "cmake --preset gates",
                                    "there is no configure preset gates"),
            (gate, "cmake --build --preset gate", "cmake --build --preset base",
             "there is no build preset base"), (gate, "cmake --install build/gate ",
                                                "cmake --install build/test ",
                                                "there is no kstone/build/test"),
            (gate, "$PWD/kstone/build/installed", "$PWD/kstone/installed",
             "there is no kstone/installed"), (gate, "working-directory: kstone",
                                               "working-directory: stone",
                                               "there is no kstone/build/installed"),
            (gate, "build/gate.json", "gate.json",
             "no command writes what is uploaded: gate.json")):
            with self.subTest(new=new):
                text = (ROOT / file).read_text()
                self.assertEqual(text.count(old), 1, old)
                self.assertIn(problem, problems(text.replace(old, new), WORKFLOWS[file]))


if __name__ == "__main__":
    unittest.main()
