"""What the results of the programs of proptests/ say, as checks."""

import collections
import shlex

# How many programs have to be explored, and how many of these to their end that are not trivial,
# that hold stripes back in two ways, and that keep real time (proptests/programs/README.md), for
# the generated programs to count as passed; and how many random sequences the core must have been
# driven through. With less they say too little, whether or not one failed.
Least = collections.namedtuple("Least", "programs nontrivial holding_back real_time sequences")
LEAST = {"full": Least(2000, 300, 300, 150, 100_000), "quick": Least(100, 5, 5, 1, 2000)}


def found_in(data, size="full", asked=None):
    """Checks of the results of kstone_core_enumeration, kstone_core_properties and kstone_programs,
    wherever they stand. `asked`: so many programs were asked for, where that is known."""
    def entry(kind, name, state, message="", **more):
        return {"kind": kind, "name": name, "state": state, "message": message, **more}

    if not isinstance(data, dict):
        return
    for part in data.get("slices", []):
        state = ("failed" if part["difference"] else "cut" if not part["complete"] else
                 "passed" if part["passed"] else "failed")
        yield entry("core", f"every state: {part['name']}", state, part["difference"],
                    seconds=part.get("seconds"),
                    numbers={"states": part["states"], "transitions": part["transitions"]})
    if "sequences" in data:
        properties = data.get("programs", {}).get("properties", data)
        wrong, due = properties.get("difference", ""), LEAST[size].sequences
        state = ("failed" if wrong or not data.get("passed", True) else
                 "cut" if data["sequences"] < due else "passed")
        yield entry(
            "core", "random sequences", state, wrong
            or (f"at least {due:,} are due" if state == "cut" else ""),
            numbers={key: data[key] for key in ("sequences", "sequence_steps") if key in data})
    if "planted_caught" in data and ("slices" in data or "sequences" in data):
        yield entry("core", "planted faults",
                    "passed" if data["planted_caught"] == data["planted"] else "failed",
                    f"{data['planted_caught']} of {data['planted']} noticed",
                    numbers={key: data[key] for key in ("planted", "planted_caught")})
    if "programs_complete" in data:
        yield enough_programs(data, size, asked)
        for failed in data["failed"]:
            yield entry(
                "program", failed["program"] or "a share of the programs", "failed",
                failed["message"], failure=failed["failure"], **{
                    key: failed[key]
                    for key in ("lanes", "steps", "standing", "preemptions", "file", "line")
                    if key in failed
                }, replay=shlex.join([
                    "kstone_programs", "--program", failed["program"], "--replay", failed["replay"]
                ]) if failed.get("replay") else "")
    if not data.keys() & {"slices", "sequences"}:
        for value in data.values():
            yield from found_in(value, size, asked)


def enough_programs(data, size, asked):
    """One check for all programs of a run. Those that the budget cut do not count."""
    least = LEAST[size]
    complete, nontrivial = data["programs_complete"], data["programs_nontrivial"]
    cut, real_time = data["programs"] - complete, data["programs_real_time"]
    holding_back = data["programs_holding_back"]
    message = (
        f"{complete:,} of {data['programs']:,} programs explored to the end, {nontrivial:,} of "
        f"them not trivial, {holding_back:,} hold stripes back in two ways, {real_time:,} keep "
        f"real time; {cut:,} cut by their budget; at least {least.programs:,}, "
        f"{least.nontrivial:,}, {least.holding_back:,} and {least.real_time:,} are due"
        f"{' at reduced size' if size == 'quick' else ''}")
    state, verdict = "passed", "proved"
    if data["failed"]:
        state, verdict = "failed", "refuted"
    elif (data["programs"] < least.programs or nontrivial < least.nontrivial
          or holding_back < least.holding_back or real_time < least.real_time):
        # Whoever asks for fewer than are due gets what he asked for, and no tick.
        fewer = asked is not None and asked < least.programs
        state, verdict, message = "cut" if fewer else "failed", "unknown", f"unknown: {message}"
    return {
        "kind": "program", "name": data.get("name", "generated programs"), "state": state,
        "verdict": verdict, "message": message, "numbers": {
            "programs": complete, "programs_nontrivial": nontrivial,
            "programs_holding_back": holding_back, "programs_real_time": real_time,
            "programs_cut": cut, "executions": data["executions"], "histories": data["histories"]
        }
    }
