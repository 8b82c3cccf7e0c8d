"""Interleavings: the text that the model checker prints, its steps, and lanes for a terminal."""

import re

SITE = re.compile(r"(\S+):(\d+) (.*)$")
ORDERS = ("relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst")


def parse(text, path_of=lambda name: name):
    """The lanes and steps of the last history in `text`; `path_of` finds the file of a base name. None without one."""
    lines = text.splitlines()
    head = next((i for i in reversed(range(len(lines))) if re.match(r"\s+# \|.*\| where$", lines[i])), None)
    if head is None:
        return None
    lanes = [cell.strip() for cell in lines[head].split("|")[1:-1]]
    found = {"lanes": lanes, "steps": [], "preemptions": None, "failure": "", "message": ""}
    for line in lines[max(0, head - 3):head]:
        match = re.match(r"(\d+) preemptions$", line)
        if match:
            found["preemptions"] = int(match[1])
        elif ": " in line:
            found["failure"], found["message"] = line.split(": ", 1)
    for line in lines[head + 1:]:
        match = re.match(r"\s*(\d+) \|", line)
        if not match:
            left_out = re.match(r"\s+\.\.\. (\d+) lines are left out", line)
            if left_out:
                found["steps"].append({"left_out": int(left_out[1])})
                continue
            break
        cells = [cell.strip() for cell in line.split("|")[1:]]
        lane = next((i for i, cell in enumerate(cells[:-1]) if cell), 0)
        step = {"index": int(match[1]), "lane": lane, "text": cells[lane]}
        site = SITE.match(cells[-1])
        if site:
            step.update(file=path_of(site[1]), line=int(site[2]), function=site[3])
        source = re.search(r" from #(\d+)", step["text"])
        if source:
            step["reads_from"] = int(source[1])
        if step["text"].endswith(" STALE"):
            step["stale"] = True
        found["steps"].append(step)
    return found


def culprit(message, steps, path_of, is_own):
    """(file, line) to look at first: what the message names, or else the last step in a file of our own, on the thread that made
    the last of all if there is one. Nothing but the message names a file of others; (None, None) without any."""
    named = re.search(r"\(([\w-]+\.\w+):(\d+)\)", message)
    named = (path_of(named[1]), int(named[2])) if named else None
    if named and is_own(named[0]):
        return named
    placed = [step for step in steps if "file" in step]
    own = [step for step in placed if is_own(step["file"])]
    last_of_all = [step for step in own if step["lane"] == placed[-1]["lane"]] or own
    return (last_of_all[-1]["file"], last_of_all[-1]["line"]) if own else named or (None, None)


def render(lanes, steps, width=120):
    """The steps as text, one column for each lane."""
    sites = [f"{step['file'].rsplit('/', 1)[-1]}:{step['line']}" if "file" in step else "" for step in steps]
    where = max(map(len, sites), default=0)
    column = (width - 8 - where) // len(lanes) - 3
    if column < 14:  # a narrow terminal: the steps rather than their places
        sites = [""] * len(steps)
        column = (width - 14) // len(lanes) - 3
    column = min(46, column)
    lines = ["    # | " + " | ".join(lane.ljust(column) for lane in lanes) + (" | where" if any(sites) else " |")]
    for step, site in zip(steps, sites):
        if "left_out" in step:
            lines.append(f"  ... {step['left_out']} steps are left out")
            continue
        cells = [""] * len(lanes)
        cells[step["lane"]] = shortened(step["text"], column)
        lines.append(f"{step['index']:5} | " + " | ".join(cell.ljust(column) for cell in cells) + f" | {site}".rstrip())
    return "\n".join(lines)


def shortened(text, width):
    for order in ORDERS:  # the value matters more than the order, where there is no room for both
        if len(text) > width:
            text = text.replace(f" {order}", "", 1)
    return text if len(text) <= width else text[:width - 1] + "…"
