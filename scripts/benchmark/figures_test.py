"""What scripts/bench makes of figures: which goals are met, and when the gate is red."""

import unittest

import figures
from goals import GOALS, Goal


def workload(name, **subjects):
    return {
        "name": name, "title": name, "unit": "ns",
        "subjects": [{"name": subject.replace("_", " "), "lacks": "", "figures": values}
                     for subject, values in subjects.items()]
    }


def judge(goal, *measured):
    return figures.judged(goal, {entry["name"]: entry for entry in measured})


class Ratios(unittest.TestCase):
    GOAL = Goal("a", "W", "floor", 1.5)

    def test_are_taken_round_by_round(self):
        # A machine that is ten times slower for a while says nothing.
        judged = judge(self.GOAL,
                       workload("W", kstone=[1.2, 12.0, 1.2, 12.0], floor=[1.0, 10.0, 1.0, 10.0]))
        self.assertAlmostEqual(judged["ratio"], 1.2)
        self.assertTrue(judged["met"])

    def test_a_goal_is_met_up_to_a_tenth_above_its_limit(self):
        self.assertTrue(judge(self.GOAL, workload("W", kstone=[1.64] * 5, floor=[1.0] * 5))["met"])
        self.assertFalse(judge(self.GOAL, workload("W", kstone=[1.66] * 5, floor=[1.0] * 5))["met"])

    def test_what_counts_is_the_upper_end_of_the_interval(self):
        judged = judge(self.GOAL, workload("W", kstone=[1.4, 1.4, 3.0, 3.0, 1.4], floor=[1.0] * 5))
        self.assertAlmostEqual(judged["ratio"], 1.4)
        self.assertFalse(judged["met"])

    def test_the_gate_is_red_only_beyond_the_noise(self):
        noisy = judge(self.GOAL, workload("W", kstone=[1.4, 1.4, 3.0, 3.0, 3.0], floor=[1.0] * 5))
        self.assertFalse(noisy["met"])
        self.assertFalse(noisy["regressed"])
        self.assertTrue(
            judge(self.GOAL, workload("W", kstone=[1.7, 1.8, 1.7], floor=[1.0] * 3))["regressed"])

    def test_what_was_accepted_is_not_met_and_does_not_regress(self):
        goal = Goal("a", "W", "floor", 0.5, accepted=1.5, reason="out of reach")
        judged = judge(goal, workload("W", kstone=[1.4] * 3, floor=[1.0] * 3))
        self.assertFalse(judged["met"])
        self.assertFalse(judged["regressed"])
        self.assertTrue(judge(goal, workload("W", kstone=[1.8] * 3, floor=[1.0] * 3))["regressed"])

    def test_growth_is_a_ratio_of_ratios(self):
        goal = Goal("a", "W/2", "floor", 1.25, base="W/1")
        judged = judge(goal, workload("W/1", kstone=[2.0], floor=[1.0]),
                       workload("W/2", kstone=[6.0], floor=[2.0]))
        self.assertAlmostEqual(judged["ratio"], 1.5)

    def test_the_best_peer_is_neither_floor_nor_origin(self):
        measured = workload("W", kstone=[1.0], floor=[0.1], origin=[0.1], b=[3.0], a=[2.0])
        self.assertEqual(figures.best_peer(measured), "a")

    def test_an_exact_goal_tolerates_nothing(self):
        goal = Goal("a", "W", "itself", 0, exact=True)
        self.assertTrue(judge(goal, workload("W", kstone=[0]))["met"])
        one = judge(goal, workload("W", kstone=[1]))
        self.assertFalse(one["met"])
        self.assertTrue(one["regressed"])

    def test_what_was_not_measured_is_no_goal_of_the_run(self):
        self.assertIsNone(judge(self.GOAL, workload("V", kstone=[1.0], floor=[1.0])))

    def test_something_beside_nothing_is_worse_than_any_limit(self):
        self.assertEqual(figures.ratios([0, 0, 2], [0, 1, 0]), [1.0, 0.0, float("inf")])
        self.assertFalse(
            judge(self.GOAL, workload("W", kstone=[5, 5, 5, 5, 5], floor=[0, 0, 0, 0, 5]))["met"])
        self.assertTrue(judge(self.GOAL, workload("W", kstone=[5] * 5, floor=[0] * 5))["regressed"])

    def test_every_accepted_goal_has_a_reason(self):
        for goal in GOALS:
            self.assertEqual(bool(goal.accepted), bool(goal.reason), goal.title)


if __name__ == "__main__":
    unittest.main()
