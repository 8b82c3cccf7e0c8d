"""The report of a gate (docs/gate.md): installed as it is beside the library, without any package
of Python's."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import jsonschema

from results import HERE, ROOT
import lanes

SCRIPTS = ROOT / "scripts" / "verification"
REFUTED = "request_then_idle_without_order"


class GateReportTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        rows = {
            row["name"]: row
            for row in json.loads((HERE / "fixture" / "model.json").read_text())["scenarios"]
        }
        self.proved = rows["snapshot_in_the_middle_1_1"]
        self.refuted = {
            **rows[REFUTED], "green": False, "must_fail": False, "property": "", "why": ""
        }
        for file in ("source/background_worker_impl.h", "kstone/.git/config",
                     "kstone/model/scene.h", "build/CMakeCache.txt",
                     "build/background_worker_impl.h", "installed/scene.h", "more/scene.h"):
            self.write(file, "")
        self.write("gate.cpp", "")
        self.write("installed/CMakeCache.txt", "")
        for name in ("gate_report.py", "lanes.py", "writers.py"):
            self.write(f"share/{name}", (SCRIPTS / name).read_text())

    def write(self, file, text):
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        (self.root / file).write_text(text)

    def run_script(self):
        return subprocess.run(
            [sys.executable, "-S", "-B", "share/gate_report.py", "build/gate.json"], cwd=self.root,
            capture_output=True, text=True)

    def report(self, *suites):
        """(the one run of the SARIF, the Markdown)"""
        self.write("build/gate.json", json.dumps({"scenarios": suites}))
        done = self.run_script()
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))
        sarif = json.loads((self.root / "build" / "gate.sarif").read_text())
        jsonschema.Draft7Validator(json.loads(
            (SCRIPTS / "schema" / "sarif-2.1.0.json").read_text())).validate(sarif)
        return sarif["runs"][0], (self.root / "build" / "gate.md").read_text()

    def place(self, result):
        place = result["locations"][0]["physicalLocation"]
        return place["artifactLocation"]["uri"], place["region"]["startLine"]

    def test_a_green_gate_has_no_results(self):
        run, markdown = self.report(self.proved, {**self.refuted, "green": True, "must_fail": True})
        self.assertEqual((run["results"], run["invocations"][0]["executionSuccessful"]), ([], True))
        self.assertTrue(markdown.startswith("# ✓ Gate: every suite green\n"))
        self.assertIn("refuted: data race, as it must be", markdown)

    def test_a_red_one_has_one_thread_flow_for_each_thread(self):
        run, markdown = self.report(self.proved, self.refuted)
        result, = run["results"]
        found = lanes.counterexample(self.refuted)
        flows = result["codeFlows"][0]["threadFlows"]
        self.assertEqual([flow["id"] for flow in flows], found["lanes"])
        orders = [[step["executionOrder"] for step in flow["locations"]] for flow in flows]
        self.assertEqual(orders,
                         [[step["index"] + 1 for step in found["steps"] if step["lane"] == lane]
                          for lane in range(len(flows))])
        self.assertTrue(
            all("physicalLocation" in step["location"] for flow in flows
                for step in flow["locations"]))
        self.assertEqual((result["ruleId"], self.place(result)),
                         ("data-race", ("source/background_worker_impl.h", 217)))
        for text in (result["message"]["text"], markdown):
            for words in (REFUTED, "data race: ", "at source/background_worker_impl.h:217",
                          f"--replay '{self.refuted['replay']}'"):
                self.assertIn(words, text)
        self.assertTrue(markdown.startswith("# ✗ Gate: 1 of 2 suites red\n"))

    def test_readers_see_what_the_gate_drew(self):
        table = (
            "deadlock: a message that goes on\n    in a second line\n  t0 waits to lock a, at "
            "engine.h:3 put; holds b (since engine.h:2 put)\n0 preemptions. Downwards is time.\n\n "
            "   # | t0 | where\n    1 | lock b | engine.h:2 put\n"
        )
        _, plain = self.report(self.refuted)
        _, drawn = self.report({**self.refuted, "table": table})
        self.assertIn(
            "\n  t0 waits to lock a, at engine.h:3 put; holds b (since engine.h:2 put)\n0 "
            "preemptions. Downwards",
            drawn)
        self.assertIn("    1 | lock b | engine.h:2 put", drawn)
        self.assertNotIn("in a second line", drawn)  # the message stands above
        self.assertIn("control.CAS", plain)
        self.assertNotIn("control.CAS", drawn)

    def test_files_of_others_keep_their_names(self):
        run, _ = self.report(self.refuted)
        files = {
            step["location"]["physicalLocation"]["artifactLocation"]["uri"]
            for flow in run["results"][0]["codeFlows"][0]["threadFlows"]
            for step in flow["locations"]
        }
        self.assertLessEqual(
            files, {"source/background_worker_impl.h", "more/scene.h", "background_worker.h"})
        self.write("source/scene.h", "")  # one of two is as good as none
        run, _ = self.report(self.refuted)
        self.assertNotIn("more/scene.h", json.dumps(run))

    def test_a_step_without_a_line_stands_where_its_thread_was(self):
        places = ("file", "line", "function")
        steps = [{
            key: value for key, value in step.items() if step["line"] != 203 or key not in places
        } for step in self.refuted["steps"]]
        run, _ = self.report({**self.refuted, "steps": steps})
        step = run["results"][0]["codeFlows"][0]["threadFlows"][3]["locations"][-1]["location"]
        self.assertEqual(
            (step["message"]["text"][:11], step["physicalLocation"]["region"]["startLine"]),
            ("control.CAS", 199))

    def test_what_has_no_counter_example_stands_where_the_suite_is_made(self):
        unknown = {
            **self.proved, "green": False, "verdict": "unknown",
            "why": "unknown: the budget is used up", "suite_file": str(self.root / "gate.cpp"),
            "suite_line": 3
        }
        proved = {**self.proved, "name": "of_another_name", "green": False, "must_fail": True,
                  "why": "use after free was expected", "suite_file": "/elsewhere/suites.cpp"}
        run, markdown = self.report(unknown, proved)
        self.assertEqual([(result["ruleId"], self.place(result)) for result in run["results"]],
                         [("P6", ("gate.cpp", 3)), ("P6", ("CMakeLists.txt", 1))])
        for words in ("the budget is used up", "use after free was expected", "2 of 2 suites red"):
            self.assertIn(words, markdown)
        run, _ = self.report({**unknown, "property": ""}, {**proved, "property": ""})
        self.assertEqual([result["ruleId"] for result in run["results"]], ["unknown", "unexpected"])

    def test_a_gate_that_did_not_end_has_no_report(self):
        for text in (None, "", "{}"):
            if text is not None:
                self.write("build/gate.json", text)
            done = self.run_script()
            self.assertEqual(done.returncode, 2)
            self.assertIn("no results of a gate: build/gate.json", done.stderr)
            self.assertFalse((self.root / "build" / "gate.sarif").exists())


if __name__ == "__main__":
    unittest.main()
