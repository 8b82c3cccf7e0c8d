"""What the results of the programs of proptests/ say, as checks."""

import shlex


def found_in(data):
    """Checks of the results of kstone_core_enumeration, kstone_core_properties and kstone_programs, wherever they stand."""
    def entry(kind, name, state, message="", **more):
        return {"kind": kind, "name": name, "state": state, "message": message, **more}

    if not isinstance(data, dict):
        return
    for part in data.get("slices", []):
        state = "failed" if part["difference"] else "cut" if not part["complete"] else "passed" if part["passed"] else "failed"
        yield entry("core", f"every state: {part['name']}", state, part["difference"], seconds=part.get("seconds"),
                    numbers={"states": part["states"], "transitions": part["transitions"]})
    if "sequences" in data:
        properties = data.get("programs", {}).get("properties", data)
        wrong = properties.get("difference", "")
        yield entry("core", "random sequences", "failed" if wrong or not data.get("passed", True) else "passed", wrong,
                    numbers={key: data[key] for key in ("sequences", "sequence_steps") if key in data})
    if "planted_caught" in data and ("slices" in data or "sequences" in data):
        yield entry("core", "planted faults", "passed" if data["planted_caught"] == data["planted"] else "failed",
                    f"{data['planted_caught']} of {data['planted']} noticed",
                    numbers={key: data[key] for key in ("planted", "planted_caught")})
    if "programs_complete" in data:
        yield entry("program", data.get("name", "generated programs"), "failed" if data["failed"] else "passed",
                    f"{data['programs_complete']} of {data['programs']} explored to the end",
                    numbers={"programs": data["programs_complete"], "programs_cut": data["programs"] - data["programs_complete"],
                             "executions": data["executions"], "histories": data["histories"]})
        for failed in data["failed"]:
            yield entry("program", failed["program"] or "a share of the programs", "failed", failed["message"],
                        failure=failed["failure"], history=failed.get("history", ""),
                        replay=shlex.join(["kstone_programs", "--program", failed["program"], "--replay", failed["replay"]])
                        if failed.get("replay") else "")
    if not data.keys() & {"slices", "sequences"}:
        for value in data.values():
            yield from found_in(value)
