"""The report from a fixture of results: valid, and as green, red or incomplete as they are."""

import argparse
import html
import json
import pathlib
import re
import subprocess
import tempfile
import time
import unittest
import unittest.mock
import xml.etree.ElementTree as xml

import jsonschema

from results import ROOT, Report, Results
import coverage
import ending
import everything
import evidence
import findings
import lanes
import model
import mutation
import pace
import parts
import stress
import writers

SCHEMAS = ROOT / "scripts" / "verification" / "schema"


def schema(name):
    return jsonschema.Draft7Validator(json.loads((SCHEMAS / name).read_text()))


def lives(pid):
    """Whether there is such a process that is not only waiting to be reaped."""
    try:
        return ") Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


class ReportTest(unittest.TestCase):
    def setUp(self):
        # Whoever edits sources while this runs does not make its results stale.
        patch = unittest.mock.patch.object(evidence, "digest",
                                           lambda part, root=ROOT: f"the sources of {part}")
        patch.start()
        self.addCleanup(patch.stop)
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.results = Results(pathlib.Path(self.directory.name) / "verify")

    def check_valid(self, report):
        schema("verification.json").validate(report.json)
        schema("sarif-2.1.0.json").validate(report.sarif)
        xml.fromstring(report.junit)
        self.assertLess(len(report.markdown.encode()), 1 << 20)

    def totals(self, report):
        suites = xml.fromstring(report.junit).findall("testsuite")
        return {
            key: sum(int(suite.get(key)) for suite in suites)
            for key in ("tests", "failures", "errors", "skipped")
        }

    def check_red(self, document, report, *words):
        """Each form says so, and with the words, where it speaks of what failed."""
        self.assertEqual((document["verdict"], evidence.STATUS[document["verdict"]]), ("failed", 1))
        self.check_valid(report)
        self.assertGreater(self.totals(report)["failures"], 0)
        self.assertTrue(report.sarif["runs"][0]["results"])
        texts = report.failures(writers.terminal(document))
        of_failed = {
            name for check in report.failed()
            for name in (check.get("counterexample"), *check["properties"])
        }
        texts["JSON"] = [
            json.dumps(entry, ensure_ascii=False) for entry in report.failed() + [
                entry for entry in report.json["counterexamples"] + report.json["properties"]
                if entry["id"] in of_failed
            ]
        ]
        for form, parts_of_it in texts.items():
            for word in words:
                self.assertTrue(any(word in text for text in parts_of_it),
                                f"{form} does not have: {word}")

    # -- What is green -----------------------------------------------------------------------------

    def test_all_as_it_should_be(self):
        document, report = self.results.write()
        self.assertEqual((document["verdict"], document["reasons"]), ("passed", []))
        self.check_valid(report)
        totals = self.totals(report)
        self.assertEqual((totals["failures"], totals["errors"], totals["skipped"]), (0, 0, 0))
        self.assertEqual(totals["tests"], len(document["checks"]) + len(document["properties"]))
        self.assertEqual(report.sarif["runs"][0]["results"], [])
        self.assertTrue(report.markdown.startswith("# ✓"))
        self.assertTrue('<section class="verdict passed">' in report.html)

    def test_kinds_of_evidence_reach_their_properties(self):
        evidence_of = {
            entry["id"]: entry["evidence"] for entry in self.results.collect()["properties"]
        }
        self.assertEqual(evidence_of["P6"]["scenario"]["numbers"]["executions_complete"], 361)
        self.assertEqual(evidence_of["P4"]["stress"]["numbers"]["runs"], 400)
        self.assertEqual(evidence_of["P5"]["core"]["numbers"]["states"], 16104)
        self.assertEqual(evidence_of["P1"]["test"]["checks"], 1)
        self.assertNotIn("stale_depth", evidence_of["P6"]["scenario"]["numbers"])

    def test_a_suite_that_must_fail_is_green_and_has_its_counterexample(self):
        document = self.results.collect()
        checks, counterexamples = writers.by_id(document)
        check = checks["model/scenario/request_then_idle_without_notifications"]
        found = counterexamples[check["counterexample"]]
        self.assertEqual((check["state"], found["purpose"]), ("passed", "must_fail"))
        self.assertEqual(found["lanes"], ["main", "t0", "w0"])
        self.assertEqual(found["steps"][10]["text"], "control.CAS 0 => 0x4000002000 release")
        self.assertEqual(found["steps"][21]["reads_from"], 10)
        self.assertEqual(found["steps"][10]["file"], "include/kstone/background_worker.h")

    def test_mutants_bring_their_change_and_their_replay(self):
        document = self.results.collect()
        mutants = [
            entry for entry in document["counterexamples"]
            if entry["purpose"] == "mutant" and entry["steps"]
        ]
        self.assertEqual(len(mutants), 4)
        for entry in mutants:
            self.assertTrue(entry["change"].startswith("--- "))
            self.assertNotIn("preemptions", entry["change"])
            self.assertIn("--mutant", entry["replay"])
            self.assertIsInstance(entry["line"], int)

    def test_the_headline_says_what_is_argued(self):
        def argue(model):
            row = next(
                row for row in model["scenarios"] if row["name"] == "snapshot_in_the_middle_1_1")
            row.update(verdict="unknown", green=False, reason="the budget is used up",
                       stands_in="another")
            for mutant in model["mutants"]["list"][:2]:
                mutant.update(verdict="equivalent", argument="for a reason")
            model["weakenings"]["list"][0].update(verdict="argued", argument="for a reason",
                                                  history="")
        self.results.change("model", argue)
        document, report = self.results.write()
        self.assertEqual(document["verdict"], "passed")
        self.check_valid(report)
        weakened = sum(check["kind"] == "weakening" and check["state"] == "argued"
                       for check in document["checks"])
        mutants = sum(check["kind"] == "mutant" and check["state"] == "argued"
                      for check in document["checks"])
        for words in ("Passed, not all of it shown", "2 scenarios too large, with stand-ins",
                      f"{mutants} mutants equivalent by argument", f"{weakened} order"):
            for form, text in {
                    "html": report.html.split('id="evidence"')
                            [0], "markdown": report.markdown.splitlines()
                                             [0], "junit": report.junit.splitlines()[1],
                    "sarif": json.dumps(report.sarif["runs"][0]["invocations"]),
                    "terminal": writers.terminal(document).splitlines()[-1]
            }.items():
                self.assertTrue(words in text, f"{form} does not say: {words}")

    def test_a_suite_of_an_unknown_property(self):
        self.results.change("model", lambda model: model["scenarios"][0].update(property="P1 P77"))
        self.check_red(*self.results.write(), "P77 has no section in docs/properties.md")

    def test_quick_is_never_called_passed(self):
        document, report = self.results.write(quick=True)
        self.assertEqual(document["verdict"], "reduced")
        self.assertFalse("verdict passed" in report.html)
        self.assertNotIn("# ✓", report.markdown)

    # -- What is red -------------------------------------------------------------------------------

    def test_a_refuted_scenario(self):
        self.results.refute("request_then_idle_1_1_spurious", "request_then_idle_without_order")
        document, report = self.results.write()
        self.check_red(
            document, report, "P2", "No lost wake-up", "background_worker_impl.h", "217",
            "scripts/verify replay 'request_then_idle_1_1_spurious;s0,t0,w0,f0,d2;1111223a'")

    def test_each_form_names_the_property_the_line_and_the_replay_where_it_speaks_of_the_failure(
            self):
        suite, line = "request_then_idle_1_1_spurious", 217
        file = "include/kstone/background_worker_impl.h"
        replay = f"scripts/verify replay '{suite};s0,t0,w0,f0,d2;1111223a'"
        self.results.refute(suite, "request_then_idle_without_order")
        every = {"JSON", "JUnit", "SARIF", "Markdown", "HTML", "terminal"}
        for what, spoiled in (("", {}), ("property", {"properties": []}),
                              ("line", {"line": line + 1}), ("line", {"file": "engine.h"}),
                              ("replay", {"replay": "scripts/verify"})):
            document = self.results.collect()
            check = next(check for check in document["checks"] if check["name"] == suite)
            counterexample = writers.by_id(document)[1][check["counterexample"]]
            for entry in (check, counterexample):
                entry.update({key: value for key, value in spoiled.items() if key in entry})
            writers.write(document, self.results.directory / "report", [])
            found = Report(self.results.directory / "report").unnamed(writers.terminal(document),
                                                                      "P2", file, line, replay)
            with self.subTest(spoiled=spoiled):
                self.assertEqual(sorted(found), sorted((form, what) for form in every if spoiled))

    def test_sarif_has_one_thread_flow_for_each_thread_in_the_order_of_execution(self):
        self.results.refute("request_then_idle_1_1_spurious", "request_then_idle_without_order")
        _, report = self.results.write()
        result = report.sarif["runs"][0]["results"][0]
        self.assertEqual(result["ruleId"], "P1")
        self.assertEqual(
            report.sarif["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["id"], "P1")
        flows = result["codeFlows"][0]["threadFlows"]
        self.assertEqual([flow["id"] for flow in flows], ["main", "t0", "t1", "w0"])
        orders = [[place["executionOrder"] for place in flow["locations"]] for flow in flows]
        for mine in orders:
            self.assertEqual(mine, sorted(mine))
        self.assertEqual(sorted(sum(orders, [])), list(range(1, 17)))

    def test_a_survivor(self):
        def survive(model):
            model["mutants"]["list"][0].update(verdict="survived", deep=True, message="",
                                               file="include/kstone/detail/shell/inbox.h", line=146)
        self.results.change("model", survive)
        document, report = self.results.write()
        name = self.results.load("model")["mutants"]["list"][0]["name"]
        self.check_red(document, report, name, "no suite notices")
        self.assertTrue('class="row failed"' in report.html)

    def test_a_missed_weakening(self):
        self.results.change(
            "model",
            lambda model: model["weakenings"]["list"][0].update(verdict="missed", history=""))
        self.check_red(*self.results.write(), "C1 acquire -> relaxed")

    def test_what_the_model_part_calls_red_for_another_reason(self):
        def spoil(model):
            model["red"] = [
                "P17 is vacuous: no suite has an event", "soundness: programs falls short"
            ]
            model["soundness"].update(programs=300, equal=300)
        self.results.change("model", spoil)
        document, report = self.results.write()
        self.check_red(document, report, "P17 is vacuous")
        self.assertEqual(document["counts"]["states"]["failed"], 1)

    def test_an_unequal_program(self):
        self.results.change("model", lambda model: model["soundness"].update(equal=4999))
        self.check_red(*self.results.write(), "4999 of 5000")

    def test_a_failed_contract_test(self):
        path = self.results.directory / "tests.xml"
        path.write_text(path.read_text().replace('status="run"', 'status="fail"', 1).replace(
            "[  PASSED  ] 1 test.",
            f"{ROOT}/tests/requests_test.cpp:31: Failure\nExpected equality"))
        self.check_red(*self.results.write(), "tests/requests_test.cpp", "31", "Expected equality")

    def test_a_failed_program(self):
        shown = next(row for row in self.results.load("model")["scenarios"]
                     if row["name"] == "request_then_idle_without_order")
        failed = {"program": "2 stripes; q0 | q0", "failure": "check failed",
                  "message": "no order explains it", "replay": "12a",
                  **{key: shown[key] for key in ("lanes", "steps", "preemptions")},
                  "file": "../proptests/programs/execution.h", "line": 85,
                  "standing": [{"lane": 1, "text": "answers: request(0) -> queued;"}]}
        self.results.change("props", lambda props: props["generated"]["failed"].append(failed))
        document, report = self.results.write()
        self.check_red(document, report, "no order explains it",
                       "kstone_programs --program '2 stripes; q0 | q0' --replay 12a")
        counterexample = next(
            entry for entry in report.json["counterexamples"]
            if entry["failure"] == "check failed" and entry["purpose"] == "defect")
        self.assertEqual([step["text"] for step in counterexample["steps"]],
                         [step["text"] for step in shown["steps"]])
        self.assertEqual(counterexample["standing"], failed["standing"])
        # The last step in the worker, not the check in the program.
        self.assertTrue(counterexample["file"].startswith("include/"), counterexample["file"])
        flows = next(result["codeFlows"][0]["threadFlows"]
                     for result in report.sarif["runs"][0]["results"] if "codeFlows" in result)
        self.assertEqual(len(flows), len({step["lane"] for step in shown["steps"]}))
        for form in (report.junit, writers.terminal(document)):
            for word in (shown["steps"][0]["text"], "t0 answers: request(0) -> queued;"):
                self.assertIn(
                    html.escape(word, quote=False) if form is report.junit else word, form)

    def test_a_part_that_ends_badly_although_its_results_do_not_say_why(self):
        self.results.change("parts", lambda parts: parts["stress"].update(status=1))
        self.check_red(*self.results.write(), "ended with status 1")

    # -- What is neither ---------------------------------------------------------------------------

    def check_incomplete(self, *words, quick=False):
        document, report = self.results.write(quick=quick)
        self.assertEqual((document["verdict"], evidence.STATUS[document["verdict"]]),
                         ("incomplete", 3))
        self.check_valid(report)
        self.assertGreater(self.totals(report)["errors"], 0)
        self.assertFalse(report.sarif["runs"][0]["invocations"][0]["executionSuccessful"])
        self.assertTrue('<section class="verdict incomplete">' in report.html)
        self.assertTrue(report.markdown.startswith("# ◐"))
        for word in words:
            self.assertIn(word, report.markdown)
        return report

    def test_a_part_that_did_not_run(self):
        for file, title in (("model.json", "Model checking"), ("props.json", "Property tests"),
                            ("stress.json", "Real threads"), ("tests.xml", "Contract tests")):
            for quick in (False, True):
                with self.subTest(file=file, quick=quick):
                    path = self.results.directory / file
                    text = path.read_text()
                    path.unlink()
                    self.check_incomplete(f"{title}: not run", quick=quick)
                    path.write_text(text)

    def test_a_search_that_was_cut(self):
        def cut(model):
            row = next(
                row for row in model["scenarios"] if row["name"] == "snapshot_in_the_middle_1_1")
            row.update(verdict="unknown", green=False, reason="the budget is used up",
                       why="unknown: the budget is used up")
        self.results.change("model", cut)
        report = self.check_incomplete("snapshot_in_the_middle_1_1: the budget is used up")
        notices = report.sarif["runs"][0]["invocations"][0]["toolExecutionNotifications"]
        self.assertIn("was cut by its budget", notices[0]["message"]["text"])
        document, report = self.results.write(quick=True)
        self.assertEqual((document["verdict"], self.totals(report)["skipped"]), ("reduced", 1))

    def test_a_random_search_whose_stand_ins_were_cut_is_cut_and_without_any_it_is_red(self):
        def cut(name, **more):
            def change(model):
                row = next(row for row in model["scenarios"] if row["name"] == name)
                row.update(verdict="unknown", green=False, failure="none", stands_in=None, **more)
            self.results.change("model", change)

        at_random = {"mode": "random", "reason": "a random search proves nothing"}
        cut("snapshot_in_the_middle_1_1", reason="the budget is used up")
        cut("job_is_cancelled_1_1",
            fallback="snapshot_in_the_middle_1_1 request_then_idle_1_1_spurious", **at_random)
        self.check_incomplete("job_is_cancelled_1_1: a random search proves nothing")
        cut("job_is_cancelled_1_1", fallback="", **at_random)
        self.check_red(*self.results.write(), "a random search proves nothing")

    def test_a_part_that_was_cut(self):
        self.results.change(
            "parts", lambda parts: parts["mutants"].update(status=None, cut="cut after 5 min"))
        self.check_incomplete("cut after 5 min")

    def test_a_partial_run_is_never_a_green_whole(self):
        for part, asked in (("props", "--programs 50 instead of 3500"),
                            ("stress", "--minutes 1 instead of 20"), ("model", "--only soundness"),
                            ("mutants", "--no-deep")):
            with self.subTest(part=part):
                self.results.save("parts", self.results.records)
                self.results.change(
                    "parts",
                    lambda parts: parts[part].update(partial=[asked], done="core: 3; 3 passed"))
                report = self.check_incomplete(f"a partial run: {asked}", "core: 3; 3 passed")
                self.assertTrue(f"a partial run: {asked}" in report.html)
                self.assertIn(part, self.run_all()[1])

    def test_a_partial_run_beside_a_whole_one_is_shown_and_does_not_count(self):
        self.results.change(
            "parts", lambda parts: parts["mutants"].update(
                beside={
                    "partial": ["--only link"], "done": "3 killed", "status": 0,
                    "finished": "2026-01-01T00:00:00+00:00"
                }))
        document, report = self.results.write()
        self.assertEqual(document["verdict"], "passed")
        self.check_valid(report)
        for text in (report.html, report.markdown, writers.terminal(document)):
            self.assertTrue("which does not count: --only link: 3 killed" in text)

    def test_what_makes_a_run_partial(self):
        def asked(*words):
            return everything.less(everything.program().parse_args(list(words)))

        for whole in (["model", "--seconds",
                       "2000"], ["mutants",
                                 "--resume"], ["props", "--seed",
                                               "4"], ["stress", "--jobs",
                                                      "1"], ["stress", "--minutes",
                                                             "60"], ["tests"]):
            self.assertEqual(asked(*whole), [])
        self.assertEqual(asked("mutants", "--only", "link", "--only", "take"), ["--only link take"])
        self.assertEqual(asked("stress", "--minutes", "1"), ["--minutes 1 instead of 20"])
        self.assertEqual(asked("props", "--programs", "50", "--quick"),
                         ["--quick", "--programs 50 instead of 3500"])
        self.assertEqual(asked("model", "--only", "litmus"), ["--only litmus"])

    def test_a_part_records_that_it_ran_in_part_and_ends_as_its_results_do(self):
        for status in (0, 1):
            arguments = everything.program().parse_args(
                ["stress", "--minutes", "1", "--output",
                 str(self.results.directory)])
            arguments.run = lambda _: status
            with unittest.mock.patch("builtins.print"):
                self.assertEqual(everything.recorded(arguments), status)
            record = self.results.load("parts")["stress"]
            self.assertEqual((record["partial"], record["status"]),
                             (["--minutes 1 instead of 20"], status))
            self.assertIn("stress: 1", record["done"])

    def test_a_few_mutants_leave_the_results_of_all_alone(self):
        before = self.results.load("parts")["mutants"]
        arguments = everything.program().parse_args(
            ["mutants", "--only", "link", "--build",
             str(self.results.directory / "mutants")])
        arguments.run = lambda _: 0
        self.assertEqual(everything.recorded(arguments), 0)
        after = self.results.load("parts")["mutants"]
        self.assertEqual(after.pop("beside")["partial"], ["--only link"])
        self.assertEqual(after, before)
        self.assertEqual(arguments.build, self.results.directory / "mutants" / "some")

    def test_results_of_other_sources(self):
        self.results.change("parts", lambda parts: parts["props"].update(digest="another"))
        self.check_incomplete("the sources have changed since")

    def test_results_of_nobody_knows_which_sources(self):
        self.results.save("parts", {})
        self.check_incomplete("of which sources is not recorded")

    def test_a_property_that_nothing_looks_at(self):
        known = evidence.property_sections(ROOT / "docs" / "properties.md")
        another = {
            "id": "P99", "title": "A new claim", "text": "", "model": "", "elsewhere": "",
            "has_to_happen": []
        }
        with unittest.mock.patch.object(evidence, "property_sections",
                                        lambda path: [*known, another]):
            self.check_incomplete("P99 A new claim: nothing that ran looks at it")

    def test_nothing_at_all(self):
        empty = pathlib.Path(self.directory.name) / "empty"
        empty.mkdir()
        document = evidence.Collector(empty).collect()
        self.assertEqual(document["verdict"], "incomplete")
        writers.write(document, empty, [])

    # -- Forms -------------------------------------------------------------------------------------

    def test_hostile_text_stays_text(self):
        hostile = ("</script><script>alert(1)</script> ]]> \x1b[31m \x00 `x` | <b> &amp; "
                   "{{ 7 * 7 }} https://example.org")
        self.results.refute("request_then_idle_1_1_spurious", "request_then_idle_without_order")

        def spoil(model):
            row = next(row for row in model["scenarios"]
                       if row["name"] == "request_then_idle_1_1_spurious")
            row["message"] = hostile
        self.results.change("model", spoil)
        document, report = self.results.write()
        self.check_valid(report)
        self.assertFalse("<script>alert" in report.html)
        self.assertTrue("{{ 7 * 7 }}" in report.html)

    def test_the_page_asks_nobody_for_anything(self):
        _, report = self.results.write()
        page = re.sub(r"<script>.*?</script>", "", report.html, flags=re.S)
        self.assertEqual(re.findall(r'(?:src|href)="(?!#|data:)[^"]*"|@import|url\(', page), [])

    def test_the_same_results_make_the_same_report(self):
        document = self.results.collect()
        texts = [(writers.junit(document), json.dumps(writers.sarif(document)),
                  writers.summary(document)) for _ in range(2)]
        self.assertEqual(*texts)

    def test_a_summary_always_fits(self):
        rows = self.results.load("model")["scenarios"]
        row = next(row for row in rows if row["name"] == "request_then_idle_without_order")
        row.update(green=False, must_fail=False, steps=row["steps"] + row["steps"][-1:] * 60000)
        self.results.change("model", lambda model: model.update(scenarios=rows))
        document = self.results.collect()
        self.assertLess(len(writers.summary(document).encode()), 1 << 20)

    def test_lanes_fit_a_terminal_and_keep_every_step(self):
        row = next(row for row in self.results.load("model")["scenarios"]
                   if row["name"] == "request_then_idle_without_order")
        found = lanes.counterexample(row)
        self.assertEqual((row["failure"], found["preemptions"], len(found["steps"])),
                         ("data race", 0, 16))
        for width in (80, 100, 140):
            text = lanes.render(found["lanes"], found["steps"], width)
            self.assertEqual(len(text.splitlines()), 17)
            self.assertLessEqual(max(map(len, text.splitlines())), width)
        self.assertEqual(lanes.counterexample({"lanes": [], "steps": []})["steps"], [])
        found["steps"].insert(13, {"left_out": 7})
        self.assertIn("  ... 7 steps are left out", lanes.told({**row, **found}).splitlines())

    def test_files_of_steps_are_named_from_the_root(self):
        collector = evidence.Collector(self.results.directory)
        header = "include/kstone/background_worker.h"
        for path in (header, str(ROOT / header), "background_worker.h", f"../../../../{header}",
                     f"mutant/12/{header}", f"{ROOT}/build/verify/mutants/single/{header}"):
            self.assertEqual(collector.path_of(path), header)
        for path in ("", "/usr/include/unheard_of.h", "engine.h"):
            self.assertEqual(collector.path_of(path), path)

    def test_a_scenario_says_where_it_is_registered(self):
        def spoil(model):
            row = next(
                row for row in model["scenarios"] if row["name"] == "snapshot_in_the_middle_1_1")
            row.update(verdict="unknown", green=False, reason="a step touches more than 6 objects",
                       suite_line=100)
        self.results.change("model", spoil)
        document, report = self.results.write()
        self.check_red(document, report, "a step touches more than 6 objects")
        place = report.sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        self.assertEqual((place["artifactLocation"]["uri"], place["region"]["startLine"]),
                         ("model/worker/no_lost_wake_up.cpp", 100))

    def test_programs_that_were_cut_do_not_count(self):
        document, report = self.results.write()
        check = writers.by_id(document)[0]["props/program/generated programs"]
        self.assertEqual((check["numbers"]["programs"], check["numbers"]["programs_cut"]),
                         (1700, 1300))
        self.assertEqual(document["programs"]["histogram"]["3 threads 9 calls"],
                         {"programs": 1000, "complete": 200})
        self.assertTrue("3 threads 9 calls" in report.html)
        self.assertIn("1,700 of 3,000 explored to the end, 400 of them not trivial (300 are due)",
                      report.markdown)

    def test_too_few_programs_are_unknown_and_red(self):
        for change in ({"programs_nontrivial": 299}, {"programs_real_time": 149},
                       {"programs_holding_back": 299},
                       {"programs": 1999, "programs_complete": 1000}):
            before = self.results.load("props")
            self.results.change("props", lambda props: props["generated"].update(change))
            self.check_red(*self.results.write(), "unknown:")
            self.results.save("props", before)

    def test_fewer_sequences_than_are_due_are_cut(self):
        self.results.change("props", lambda props: props["core"].update(sequences=99_999))
        self.check_incomplete("at least 100,000 are due")

    def test_fewer_programs_than_are_due_are_no_fault_where_fewer_were_asked_for(self):
        data = {
            **self.results.load("props")["generated"], "programs": 50, "programs_complete": 40,
            "programs_nontrivial": 5
        }
        states = {
            asked: next(findings.found_in(data, "full", asked))["state"]
            for asked in (50, 3000, None)
        }
        self.assertEqual(states, {50: "cut", 3000: "failed", None: "failed"})
        self.assertEqual(
            next(findings.found_in({**data, "programs": 120}, "quick", 120))["state"], "passed")
        self.assertEqual(
            next(
                findings.found_in({**data, "programs": 120, "programs_nontrivial": 4}, "quick",
                                  120))["state"], "failed")

    def test_what_the_models_leave_out_is_said_once(self):
        document, report = self.results.write()
        self.assertGreaterEqual(len(document["left_out"]), 9)
        self.assertIn("stale_depth", " ".join(document["left_out"]))
        for text in document["left_out"]:
            self.assertFalse(text.endswith(".") or "\n" in text, text)
            self.assertIn(text, report.markdown)

    # -- Of which sources --------------------------------------------------------------------------

    def changed(self, name, old=b"old", new=b"new"):
        """The parts whose results do not count any more once that file has changed."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(old)
            before = {part: parts.digest(part, pathlib.Path(folder)) for part in parts.PARTS}
            path.write_bytes(new)
            return {
                part
                for part in parts.PARTS if parts.digest(part, pathlib.Path(folder)) != before[part]
            }

    def test_results_depend_on_what_was_compiled_and_on_nothing_else(self):
        every = set(parts.PARTS)
        for name, dependent in {
                "include/kstone/background_worker.h": every,
                "src/core/scheduling_core.cpp": every - {"proof"}, "README.md": set(),
                "model/README.md": set(), "proptests/README.md": set(),
                "docs/verification.md": set(), "docs/memory-orders.md": {"tests"},
                "src/rocksdb/leveled_picker.cpp": {"stress", "tests", "coverage"},
                "tests/rocksdb/leveled_picker_test.cpp": {"coverage"},
                "tests/report/report_test.py": set(), "CMakePresets.json": {
                    "model", "proof", "props", "tests"
                }, "CMakeLists.txt": {"model", "proof", "props",
                                      "tests"}, "scripts/verification/build.py": every,
                "scripts/verification/programs.py": {"props"},
                "scripts/verification/equivalents.txt": {"mutants"}, "scripts/verification/page.py":
                    set(), "model/worker/jobs.cpp": {"model", "mutants", "coverage"},
                "model/explorer/explore.cpp": {"model", "mutants", "props", "coverage"},
                "protocol/protocol.h": {"mutants", "proof", "props", "stress",
                                        "coverage"}, "proof/claims.cpp": {"proof"},
                "tsan/stress.cpp": {"stress", "coverage"}, "examples/leveldb_stripes.cpp": set()
        }.items():
            with self.subTest(name=name):
                self.assertEqual(self.changed(name), dependent)

    def test_results_depend_on_the_compiler(self):
        tool = "version_of_tool"
        before = {part: parts.digest(part) for part in parts.PARTS}
        with unittest.mock.patch.object(parts, tool, lambda name: f"{name} 99.0"):
            self.assertTrue(all(parts.digest(part) != before[part] for part in parts.PARTS))

    def test_what_a_part_names_is_there(self):
        for name, part in parts.PARTS.items():
            for read in part.reads:
                self.assertTrue((ROOT / read).exists(), f"{name} reads {read}")

    def test_a_part_names_the_scripts_that_it_imports(self):
        # Of these a part uses what runs commands and writes files, not what decides; a change there
        # would repeat everything.
        tools = {
            "evidence", "lanes", "left_out", "model", "mutation", "stress", "weakening", "writers",
            "parts", "replay"
        }
        modules = {"mutants": "mutation", "tests": "build"}
        for name, part in parts.PARTS.items():
            text = (ROOT / "scripts" / "verification" / f"{modules.get(name, name)}.py").read_text()
            local = {word for word in re.findall(r"^(?:from|import) (\w+)", text, re.M)
                     if (ROOT / "scripts" / "verification" / f"{word}.py").exists()}
            named = {pathlib.Path(read).stem for read in part.reads if read.startswith("scripts/")}
            self.assertLessEqual(local - tools, named, name)

    def test_every_list_of_the_parts_is_the_same(self):
        self.assertEqual(set(everything.FULL), set(parts.PARTS))
        self.assertEqual(set(everything.QUICK), set(parts.PARTS))
        self.assertEqual(set(everything.GUESSES), set(parts.PARTS))
        listed = json.loads(
            (SCHEMAS / "verification.json"
             ).read_text())["properties"]["parts"]["items"]["properties"]["name"]["enum"]
        self.assertEqual(set(listed), set(parts.PARTS))
        for file in ("scripts/verify", "docs/verification.md", "README.md"):
            text = (ROOT / file).read_text()
            for part in parts.PARTS:
                self.assertTrue(re.search(rf"scripts/verify .*\b{part}\b", text),
                                f"{file} does not name {part}")

    # -- Coverage ----------------------------------------------------------------------------------

    def covered(self, explained, quick=False):
        """The checks of a core of which line 1 is reached, line 2 is not, and the condition of line
        3 is never false."""
        reached = coverage.Reached()
        file = "src/core/scheduling_core.cpp"
        reached.lines[file].update({1: 5, 2: 0, 3: 5, 4: 5})
        reached.lines[file][2] = 0
        reached.branches[file][3, 5, 3, 11] = [5, 0]
        reached.branches[file][4, 8, 4, 9] = [5, 0]
        source = coverage.Source(file)
        source.lines = ["int x;", "return never;", "if (closed) {", "assert(a && b);"]
        source.assertions = {4}
        result, checks = coverage.judged({"contract": reached}, reached, {file: source},
                                         coverage.explanations(explained), quick)
        return result, {
            check["name"]: check["message"] for check in checks if check["state"] == "failed"
        }

    def test_what_no_test_reaches_has_to_be_explained(self):
        result, failed = self.covered("")
        self.assertEqual([row["what"] for row in result["not_reached"]],
                         ["`return never;`", "`closed` is never false"])
        self.assertEqual(result["together"]["core"]["branch_percent"], 50)
        self.assertIn("src/core/scheduling_core.cpp:2 `return never;`",
                      failed["coverage of the core"])
        self.assertIn("100 % of the branches are due", failed["coverage of the core"])
        _, failed = self.covered(
            "Because.\n    src/core/scheduling_core.cpp: `return never;`\n    "
            "src/core/scheduling_core.cpp: `closed` is never false\n")
        self.assertNotIn("not explained", failed["coverage of the core"])

    def test_an_explanation_for_nothing_is_red(self):
        for words, red in (("Because.", True), ("By chance: sometimes.", False)):
            _, failed = self.covered(f"{words}\n    src/core/scheduling_core.cpp: `int x;`\n")
            self.assertEqual("stale explanation: src/core/scheduling_core.cpp: `int x;`" in failed,
                             red)
        _, failed = self.covered(
            "By chance: sometimes.\n    src/core/scheduling_core.cpp: `int gone;`\n")
        self.assertIn("stale explanation: src/core/scheduling_core.cpp: `int gone;`", failed)

    def test_coverage_that_falls_short_is_red_and_shown(self):
        def spoil(data):
            data["checks"][0].update(state="failed",
                                     message="71 of 72 branches; 100 % of the branches are due")
            data["not_reached"][0]["why"] = ""
        self.results.change("coverage", spoil)
        document, report = self.results.write()
        self.assertEqual(document["verdict"], "failed")
        self.check_valid(report)
        self.assertTrue("not explained" in report.html)
        self.assertTrue("71 of 72 branches" in report.markdown)

    # -- All of it ---------------------------------------------------------------------------------

    def run_all(self, *options):
        ran = []
        parser = argparse.ArgumentParser()
        everything.add_arguments(parser.add_subparsers(dest="part"))
        arguments = parser.parse_args(["all", "--output", str(self.results.directory), *options])
        with unittest.mock.patch.object(everything, "run_part",
                                        lambda log, part, *rest: ran.append(part)), \
             unittest.mock.patch.object(everything, "exists", lambda part: True), \
             unittest.mock.patch.object(everything, "build_for"), \
             unittest.mock.patch("builtins.print"):
            status = everything.everything(arguments)
        return status, ran

    def quick_shares(self, slowness, seconds_of_build):
        """What each part of a quick run gets, in seconds, on a machine that takes so many times as
        long, where every part uses up its share."""
        clock, found = [0.0], {}

        def run_part(log, part, options, limit, usual, behind, results, share):
            self.assertGreater(limit, 4 * share.seconds)
            found[part] = share.seconds
            clock[0] += share.seconds

        def build_for(*_):
            clock[0] += seconds_of_build * slowness

        parser = argparse.ArgumentParser()
        everything.add_arguments(parser.add_subparsers(dest="part"))
        with tempfile.TemporaryDirectory() as folder, \
             unittest.mock.patch.object(everything, "run_part", run_part), \
             unittest.mock.patch.object(everything, "build_for", build_for), \
             unittest.mock.patch.object(everything, "write_report", lambda *_: 0), \
             unittest.mock.patch.object(everything.pace, "measured", lambda jobs: slowness), \
             unittest.mock.patch.object(everything.time, "monotonic", lambda: clock[0]), \
             unittest.mock.patch("builtins.print"):
            everything.everything(parser.parse_args(["all", "--quick", "--output", folder]))
        return found, clock[0]

    def test_each_part_of_a_quick_run_shows_something_and_all_are_done_in_time(self):
        build = 140
        for slowness, most in ((0.5, 600), (1, 600), (2, 720), (4, 1440)):
            found, took = self.quick_shares(slowness, build)
            self.assertEqual(list(found), list(everything.QUICK))
            self.assertLessEqual(took, most + 1, slowness)
            for part, seconds in found.items():
                least, usual = everything.LEAST_AND_USUAL[part]
                self.assertGreaterEqual(seconds, slowness * least - 0.01, (slowness, part))
                self.assertLessEqual(seconds,
                                     slowness * (least + 1.5 * (usual - least)) + 0.01,
                                     (slowness, part))
        # Where even the least takes longer, nothing is left out for it.
        found, _ = self.quick_shares(2, 1000)
        self.assertEqual(
            found, {part: 2 * everything.LEAST_AND_USUAL[part][0] for part in everything.QUICK})

    def test_a_share_is_for_whoever_runs_in_all_alone(self):
        self.assertFalse(pace.Share.given().is_limited())
        self.assertTrue(pace.Share.given().holds(1e9))
        with unittest.mock.patch.dict("os.environ", pace.Share(100, 2).environment()):
            share = pace.Share.given()
            self.assertTrue(share.is_limited() and share.holds(45) and not share.holds(55)
                            and not share.holds(45, of=0.5))

    def test_what_a_quick_run_has_cut_is_no_fault(self):
        row = {
            "name": "a", "property": "P1", "must_fail": False, "verdict": "unknown",
            "failure": "none", "green": False, "reason": "the budget is used up", "covers": []
        }
        other = {**row, "must_fail": True}
        self.assertEqual(model.without_event([row]), [])
        self.assertEqual(model.without_neighbour([row, other]), [])
        proved = {**row, "verdict": "proved", "green": True, "reason": ""}
        self.assertIn("P1 is vacuous", " ".join(model.without_event([proved])))
        self.assertIn("P1 has no neighbour", " ".join(model.without_neighbour([proved])))
        checks = self.covered("", quick=True)[1]
        # and nothing was left out
        self.assertIn("100 % of the branches are due", checks["coverage of the core"])

    def test_real_threads_show_something_whatever_the_time(self):
        for seconds, passed, cut in ((1000, 19, 5), (0, 15, 9)):
            with unittest.mock.patch.dict("os.environ", pace.Share(seconds, 1).environment()), \
                 tempfile.TemporaryDirectory() as folder:
                arguments = everything.program().parse_args(
                    ["stress", "--quick", "--output", folder])
                tried = stress.Stress(arguments, lambda _: None)
                shown = {fault[0]: fault[2] for fault in stress.FAULTS}

                def call(name, build, options, seconds):
                    more = {"seconds": 1, "replay": "", "numbers": {"seed": 1}}
                    if name.startswith("must fail"):
                        return 1, shown.get(name.split(": ")[-1].split(",")[0], ""), more
                    more["numbers"].update(transitions_replayed=1, tampered_and_noticed=1)
                    return 0, "", more

                with unittest.mock.patch.object(tried.programs, "build", lambda name: ""), \
                     unittest.mock.patch.object(tried, "call", call):
                    tried.everything()
                states = [check["state"] for check in tried.checks]
                self.assertEqual((states.count("passed"), states.count("cut")), (passed, cut),
                                 tried.checks)
                self.assertEqual(len(states), len(stress.FAULTS) + len(stress.RUNS) + 1)

    def test_mutants_are_tried_in_part_where_there_is_no_time(self):
        campaign = object.__new__(mutation.Campaign)
        campaign.log, campaign.results, campaign.share = mutation.Log(), {}, pace.Share(0, 1)
        campaign.arguments, tried = argparse.Namespace(jobs=1), []
        with unittest.mock.patch("builtins.print") as told:
            campaign.in_turn("the quick suites", tried.append, range(10))
        self.assertEqual(len(tried), mutation.LEAST_TRIED)
        self.assertIn("4 of 10 were not tried", told.call_args[0][0])

    def test_what_is_there_is_not_repeated(self):
        self.assertEqual(self.run_all(), (0, []))
        self.assertTrue(self.results.load("parts")["model"]["reused"])
        self.assertEqual(self.run_all("--again", "props"), (0, ["props"]))

    def test_what_is_missing_or_of_other_sources_is_run(self):
        self.results.change(
            "parts", lambda parts:
            (parts["tests"].update(digest="another"), parts["model"].update(status=None)))
        self.results.change("props", lambda props: props.pop("generated"))
        self.assertEqual(self.run_all()[1], ["tests", "model", "props"])

    def test_what_is_red_is_not_repeated_unless_asked(self):
        self.results.change("parts", lambda parts: parts["stress"].update(status=1))
        self.assertEqual(self.run_all(), (1, []))

    def test_what_a_part_started_ends_with_it(self):
        process = subprocess.Popen(["sh", "-c", "setsid sleep 60 & setsid sleep 60 & wait"],
                                   start_new_session=True)
        while len(ending.descendants(process.pid)) < 2:
            pass
        started = ending.descendants(process.pid)
        ending.end(process)
        self.assertIsNotNone(process.returncode)
        deadline = time.monotonic() + 20
        while any(map(lives, started)):
            self.assertLess(time.monotonic(), deadline)

    def test_the_next_report_is_held_against_this_one(self):
        self.run_all()
        self.results.change("model", lambda model: model["soundness"].update(equal=4999))
        status, _ = self.run_all()
        self.assertEqual(status, 1)
        page = (self.results.directory / "index.html").read_text()
        self.assertTrue("model/soundness/soundness: passed, now" in page)
        self.assertEqual(len((self.results.directory / "history.jsonl").read_text().splitlines()),
                         2)


if __name__ == "__main__":
    unittest.main()
