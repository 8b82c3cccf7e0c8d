"""Ratios of what was measured, and what they say of the goals. Reads nothing and writes nothing."""

import math
import random
import statistics

RESAMPLES = 2000


def interval(values, seed=1):
    """The 95 % bootstrap interval of the median."""
    if len(values) < 2:
        return values[0], values[0]
    source = random.Random(seed)
    medians = sorted(
        statistics.median(source.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1]


def ratio(one, other):
    """Two zeros are equal; something beside nothing is infinitely worse."""
    return one / other if other != 0 else 1.0 if one == 0 else math.inf


def ratios(ours, others):
    """Round by round."""
    return [ratio(one, other) for one, other in zip(ours, others)]


def subjects(workload):
    return {subject["name"]: subject["figures"] for subject in workload["subjects"]}


def peers(workload):
    return [
        name for name in subjects(workload)
        if name not in ("kstone", "floor") and not name.startswith(("origin", "kstone"))
    ]


def best_peer(workload):
    figures = subjects(workload)
    return min(peers(workload), key=lambda name: statistics.median(figures[name]))


def values_of(goal, workloads):
    """The goal's ratios, round by round, and whom it was compared with; None if this run has not
    measured it."""
    if goal.workload not in workloads or (goal.base and goal.base not in workloads):
        return None
    figures = subjects(workloads[goal.workload])
    ours = figures[goal.subject]
    against = best_peer(workloads[goal.workload]) if goal.against == "best peer" else goal.against
    if against == "itself":
        return ours, ""
    values = ratios(ours, figures[against])
    if goal.base:  # measured at another time, but each beside its own floor
        base = subjects(workloads[goal.base])
        values = ratios(values, ratios(base[goal.subject], base[against]))
    return values, against


def judged(goal, workloads):
    """A goal is met if the upper end of the interval is at most a tenth above the limit; an exact
    one, if no value is above it. It has regressed if even the lower end is above that, and above
    what was accepted."""
    measured = values_of(goal, workloads)
    if measured is None:
        return None
    values, against = measured
    low, high = (min(values), max(values)) if goal.exact else interval(values)
    tolerated = goal.limit * (1 if goal.exact else 1.1)
    bound = max(goal.limit, goal.accepted)
    return {
        "name": goal.title, "workload": goal.workload, "against": against,
        "ratio": statistics.median(values), "low": low, "high": high, "limit": goal.limit,
        "met": high <= tolerated, "accepted": goal.accepted or None,
        # Worse by more than the noise: even the lower end of the interval is above.
        "regressed": low > (bound if goal.exact else bound * 1.1), "reason": goal.reason,
        "pairs": len(values)
    }


def summary(figures):
    return {
        "median": statistics.median(figures), "min": min(figures), "max": max(figures),
        "repetitions": len(figures)
    }


def table(workload):
    """For each subject its summary, and the worker's ratio to it."""
    all_figures = subjects(workload)
    rows = []
    for subject in workload["subjects"]:
        row = {"name": subject["name"], "lacks": subject["lacks"], **summary(subject["figures"])}
        for counter, values in subject.get("counters", {}).items():
            row.setdefault("counters", {})[counter] = summary(values)
        if "kstone" in all_figures and subject["name"] != "kstone":
            values = ratios(all_figures["kstone"], subject["figures"])
            if all(map(math.isfinite, values)):
                low, high = interval(values)
                row["ratio"] = {"median": statistics.median(values), "low": low, "high": high}
        rows.append(row)
    return rows


def finite(value):
    """The same for JSON, which has no infinity: null."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
