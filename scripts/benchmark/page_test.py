"""The page of charts: everything is on it, and nothing is fetched when it is opened."""

import unittest

import figures
import page
from figures_test import workload
from goals import Goal


class Page(unittest.TestCase):
    def test_has_every_goal_and_workload(self):
        measured = [
            workload("W", kstone=[1.0, 2.0], floor=[1.0, 1.0]),
            workload("W7/x/256", kstone=[1.0], floor=[1.0]),
            workload("W7/x/512", kstone=[2.0], floor=[1.0])
        ]
        by_name = {entry["name"]: entry for entry in measured}
        goals = [figures.judged(Goal("the goal <1>", "W", "floor", 1.5), by_name)]
        document = {
            "machine": {
                "date": "now", "processor": "p", "cores": 2, "kernel": "k", "compiler": "c",
                "load_before": 0.0
            }, "seconds": 1, "goals": goals,
            "workloads": [{**entry, "subjects": figures.table(entry)} for entry in measured]
        }
        text = page.html(document)
        for wanted in ("the goal &lt;1&gt;", "<h3>W</h3>", "<h3>W7 x</h3>", "<svg"):
            self.assertIn(wanted, text)
        for name in ("www.w3.org", "purl.org", "creativecommons.org"):
            text = text.replace(f"http://{name}", "")
        self.assertNotIn("http://", text)


if __name__ == "__main__":
    unittest.main()
