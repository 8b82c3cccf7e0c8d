"""Interleavings: counter-examples as the model checker writes them (model/README.md), and as lanes
for a terminal."""

ORDERS = ("relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst")
NONE = {"lanes": [], "steps": [], "standing": [], "preemptions": None}


def counterexample(entry, path_of=lambda path: path):
    """The counter-example in what a suite, or another program on the model checker, says of a
    failure; `path_of` finds files of the repository."""
    if not entry.get("lanes"):
        return dict(NONE)
    found = {"lanes": entry["lanes"], "steps": [placed(step, path_of) for step in entry["steps"]],
             "standing": entry.get("standing", []), "preemptions": entry.get("preemptions")}
    if entry.get("line"):
        found.update(file=path_of(entry["file"]), line=entry["line"])
    return found


def placed(step, path_of):
    return {
        key: path_of(value) if key in ("file", "own_file") else value
        for key, value in step.items()
    }


def culprit(found, is_own):
    """(file, line) to look at first: the line that failed, or else the last step in a file of our
    own, on the thread that made the last of all if there is one. Of others, nothing but the line
    that failed; (None, None) without any."""
    named = (found["file"], found["line"]) if found.get("line") else None
    if named and is_own(named[0]):
        return named
    steps = [step for step in found["steps"] if "file" in step]
    own = [step for step in steps if is_own(step["file"])]
    last_of_all = [step for step in own if step["lane"] == steps[-1]["lane"]] or own
    return (last_of_all[-1]["file"], last_of_all[-1]["line"]) if own else named or (None, None)


def told(entry, width=120):
    """What failed, and how, for a terminal."""
    lines = [f"{entry['failure']}: {entry['message']}"]
    lines += standing(entry)
    if entry.get("steps"):
        lines += [
            f"{entry['preemptions']} preemptions", "",
            render(entry["lanes"], entry["steps"], width)
        ]
    return "\n".join(lines)


def standing(entry):
    """Where each thread stands, or what its calls answered: a line for each."""
    return [
        f"  {entry['lanes'][each['lane']]} {each['text']}" for each in entry.get("standing", [])
    ]


def render(lanes, steps, width=120):
    """The steps as text, one column for each lane."""
    sites = [
        f"{step['file'].rsplit('/', 1)[-1]}:{step['line']}" if "file" in step else ""
        for step in steps
    ]
    where = max(map(len, sites), default=0)
    column = (width - 8 - where) // len(lanes) - 3
    if column < 14:  # a narrow terminal: the steps rather than their places
        sites = [""] * len(steps)
        column = (width - 14) // len(lanes) - 3
    column = min(46, column)
    lines = [
        "    # | " + " | ".join(lane.ljust(column) for lane in lanes) +
        (" | where" if any(sites) else " |")
    ]
    for step, site in zip(steps, sites):
        if "left_out" in step:
            lines.append(f"  ... {step['left_out']} steps are left out")
            continue
        cells = [""] * len(lanes)
        cells[step["lane"]] = shortened(step["text"], column)
        lines.append(f"{step['index']:5} | " + " | ".join(cell.ljust(column) for cell in cells) +
                     f" | {site}".rstrip())
    return "\n".join(lines)


def shortened(text, width):
    for order in ORDERS:  # the value matters more than the order, where there is no room for both
        if len(text) > width:
            text = text.replace(f" {order}", "", 1)
    return text if len(text) <= width else text[:width - 1] + "…"
