"""Writes a verification document (evidence.py) for those who read it: JUnit, SARIF, Markdown, HTML,
a terminal."""

import collections
import itertools
import json
import pathlib
import re
import xml.etree.ElementTree as xml

import lanes

HERE = pathlib.Path(__file__).resolve().parent
HEADLINES = {
    "passed": "Passed", "failed": "Failed",
    "incomplete": "Incomplete: nothing failed, but something is missing",
    "reduced": "Nothing failed at reduced size",
}
MARKS = {"passed": "✓", "failed": "✗", "argued": "≈", "cut": "◐", "not_run": "○"}
SUMMARY_LIMIT = 900_000  # a step summary of 1 MiB or more is refused


# What is green and yet was not shown, by kind of check: one, several.
ARGUED = {
    "scenario": ("scenario too large, with a stand-in", "scenarios too large, with stand-ins"),
    "mutant": ("mutant equivalent by argument", "mutants equivalent by argument"),
    "weakening": ("order kept by argument", "orders kept by argument")
}


def headline(document):
    """The verdict, and at once what it does not rest on."""
    counts = collections.Counter(
        check["kind"] for check in document["checks"] if check["state"] == "argued")
    words = [
        f"{count:,} {ARGUED.get(kind, (kind + ' by argument',) * 2)[count > 1]}"
        for kind, count in counts.items()
    ]
    not_reached = len(document["coverage"].get("not_reached", []))
    if not_reached:
        words.append(
            f"{not_reached} {'lines or branches' if not_reached > 1 else 'line or branch'} that no "
            f"test reaches, explained")
    first = HEADLINES[document["verdict"]]
    if document["verdict"] not in ("passed", "reduced") or not words:
        return first
    return f"{first}, not all of it shown: {'; '.join(words)}"


def by_id(document):
    return {check["id"]: check for check in document["checks"]
            }, {c["id"]: c for c in document["counterexamples"]}


def named(document, check):
    """The properties of a check in words."""
    texts = {entry["id"]: entry["text"] for entry in document["properties"]}
    return [f"{name} {texts.get(name, '')}".strip() for name in check["properties"]]


def story(document, check, width=120, steps=True):
    """Property, what happened, where, the interleaving, the replay."""
    counterexample = by_id(document)[1].get(check.get("counterexample"))
    lines = named(document, check)
    if counterexample and counterexample["failure"]:
        lines.append(
            f"{counterexample['failure']}: {counterexample['message'] or check['message']}")
    else:
        lines.append(check["message"])
    if check.get("file"):
        lines.append(f"at {check['file']}:{check['line']}")
    if counterexample and counterexample.get("table") and steps:
        # As the model checker draws it, less the message, which may be several lines.
        first, *drawn = counterexample["table"].rstrip().splitlines()
        lines += ["", *itertools.dropwhile(lambda line: line.startswith("    "), drawn)]
    elif counterexample and counterexample["steps"] and steps:
        preemptions = counterexample["preemptions"]
        lines += [
            "", f"{preemptions} preemptions" +
            (", and with fewer nothing fails" if counterexample.get("fewest_preemptions")
             and preemptions else ""), *lanes.standing(counterexample),
            lanes.render(counterexample["lanes"], counterexample["steps"], width)
        ]
    elif counterexample and counterexample.get("text") and steps:
        lines += ["", counterexample["text"]]
    if counterexample and counterexample["replay"]:
        lines += ["", f"replay: {counterexample['replay']}"]
    return "\n".join(lines)


def printable(text):
    """Without the control characters that XML forbids."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", text)


# -- JUnit -----------------------------------------------------------------------------------------

def junit(document):
    root = xml.Element("testsuites", name=f"kstone verification: {headline(document)}")
    for part in document["parts"]:
        checks = [check for check in document["checks"] if check["part"] == part["name"]]
        suite = xml.SubElement(root, "testsuite", name=part["name"],
                               timestamp=document["generated"][:19], tests=str(len(checks)),
                               time=str(part.get("seconds", 0)))
        totals = {"failures": 0, "errors": 0, "skipped": 0}
        if part["stale"]:
            case = xml.SubElement(suite, "testcase", classname=part["name"],
                                  name="results are of these sources", time="0")
            xml.SubElement(case, "error", type="stale", message=part["why"])
            suite.set("tests", str(len(checks) + 1))
            totals["errors"] += 1
        for check in checks:
            case = xml.SubElement(suite, "testcase", classname=f"{check['part']}.{check['kind']}",
                                  name=printable(check["name"]),
                                  time=str(check.get("seconds") or 0))
            if check.get("file"):
                case.set("file", check["file"])
                case.set("line", str(check["line"]))
            message = printable(check["message"])[:1000]
            if check["state"] == "failed":
                xml.SubElement(case, "failure", type="failed",
                               message=message).text = printable(story(document, check))
                totals["failures"] += 1
            elif check["state"] == "cut" and document["size"] == "quick":
                xml.SubElement(case, "skipped",
                               message=f"cut by the budget of a quick run: {message}")
                totals["skipped"] += 1
            elif check["state"] in ("cut", "not_run"):
                xml.SubElement(case, "error", type=check["state"], message=message)
                totals["errors"] += 1
            elif check["state"] == "argued":
                xml.SubElement(case, "system-out").text = f"not shown, kept for a reason: {message}"
        for key, value in totals.items():
            suite.set(key, str(value))
    unseen = [entry for entry in document["properties"] if not entry["looked_at"]]
    suite = xml.SubElement(root, "testsuite", name="properties",
                           tests=str(len(document["properties"])), failures="0",
                           errors=str(len(unseen)), skipped="0", time="0",
                           timestamp=document["generated"][:19])
    for entry in document["properties"]:
        case = xml.SubElement(suite, "testcase", classname="properties",
                              name=f"{entry['id']} {entry['title']}", time="0")
        if entry in unseen:
            xml.SubElement(case, "error", type="not_run", message="nothing that ran looks at it")
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root,
                                                                     encoding="unicode") + "\n"


# -- SARIF -----------------------------------------------------------------------------------------

def location(file, line, text=None):
    found = {"physicalLocation": {"artifactLocation": {"uri": file, "uriBaseId": "SRCROOT"}}}
    if line:
        found["physicalLocation"]["region"] = {"startLine": line}
    if text:
        found["message"] = {"text": text}
    return found


def place_of(check):
    """Where to look first; else where it is made."""
    return next(
        ((check[file], check.get(line) or 1)
         for file, line in (("file", "line"), ("suite_file", "suite_line")) if check.get(file)),
        ("docs/verification.md", 1))


def thread_flows(counterexample):
    """One thread flow for each lane; executionOrder is the step's place in the whole execution,
    from 1 on."""
    flows = []
    for number, lane in enumerate(counterexample["lanes"]):
        locations = []
        place = counterexample["file"], counterexample["line"]
        for step in counterexample["steps"]:
            if step.get("lane") != number:
                continue
            if "file" in step:  # else it stands where its thread was, since viewers want a place
                place = step["file"], step["line"]
            entry = {
                "location": location(*place, step["text"]) if place[0] else
                            {"message": {"text": step["text"]}}, "executionOrder": step["index"] + 1
            }
            if "function" in step:
                entry["location"]["logicalLocations"] = [{
                    "name": step["function"], "kind": "function"
                }]
            locations.append(entry)
        if locations:
            flows.append(
                {"id": lane, "message": {"text": f"thread {lane}"}, "locations": locations})
    return flows


def sarif(document, tool="kstone verify"):
    counterexamples = by_id(document)[1]
    rules = {
        entry["id"]: {
            "id": entry["id"], "name": f"Property{entry['id']}",
            "shortDescription": {"text": entry["title"]},
            "fullDescription": {"text": entry["text"]}
        } for entry in document["properties"]
    }
    results = []
    notices = [{
        "level": "warning",
        "message": {"text": f"{entry['id']} {entry['title']}: nothing that ran looks at it"}
    } for entry in document["properties"] if not entry["looked_at"]]
    for check in document["checks"]:
        if check["state"] in ("cut", "not_run"):
            word = "was cut by its budget" if check["state"] == "cut" else "did not run"
            notices.append({
                "level": "warning",
                "message": {"text": f"{check['id']} {word}: {check['message']}"}
            })
        if check["state"] != "failed":
            continue
        rule = next(iter(check["properties"]), check["kind"])
        rules.setdefault(
            rule, {"id": rule, "shortDescription": {"text": document["kinds"].get(rule, rule)}})
        counterexample = counterexamples.get(check.get("counterexample"))
        text = story(document, check, steps=False)
        result = {
            "ruleId": rule, "level": "error", "kind": "fail",
            "message": {"text": f"{check['name']}: {text}"},
            "partialFingerprints": {"check/v1": check["id"]},
            "properties": {"tags": check["properties"], "check": check["id"]}
        }
        # Viewers drop a result that stands nowhere.
        result["locations"] = [location(*place_of(check))]
        if counterexample:
            result["properties"]["replay"] = counterexample["replay"]
            flows = thread_flows(counterexample)
            if flows:
                result["codeFlows"] = [{
                    "message": {"text": counterexample["message"]}, "threadFlows": flows
                }]
        results.append(result)
    order = list(rules)
    for result in results:
        result["ruleIndex"] = order.index(result["ruleId"])
    driver = {
        "name": tool, "version": document["project"]["version"], "rules": list(rules.values())
    }
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [{
            "tool": {"driver": {key: value for key, value in driver.items() if value != ""}},
            "invocations": [{
                "executionSuccessful": document["verdict"] != "incomplete",
                "endTimeUtc": utc(document["generated"]), "toolExecutionNotifications": notices,
                "properties": {
                    "verdict": document["verdict"], "headline": headline(document),
                    "size": document["size"]
                }
            }], "originalUriBaseIds": {
                "SRCROOT": {"description": {"text": "The root of the repository."}}
            }, "columnKind": "unicodeCodePoints", "results": results
        }]
    }


def utc(text):
    return text.replace("+00:00", "Z")


# -- Markdown --------------------------------------------------------------------------------------

def count(number):
    """A number at a glance."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if number >= size:
            value = number / (1000 if unit == "k" else size)
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
    return f"{number:,.0f}"


def duration(seconds):
    seconds = round(seconds or 0)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {seconds:02} s" if minutes < 10 else f"{minutes} min"


def cell(evidence):
    """One kind of evidence of one property, in a few words, and its state."""
    if not evidence:
        return "", ""
    states = evidence["states"]
    good = states.get("passed", 0)
    state = next((name for name in ("failed", "cut", "not_run", "argued") if states.get(name)),
                 "passed")
    words = f"{good}" if good == evidence["checks"] else f"{good} of {evidence['checks']}"
    return words, state


def numbers_of(evidence):
    """What was searched, in words: the first two of these numbers that there are."""
    if not evidence:
        return ""
    numbers, time = evidence["numbers"], duration(
        evidence["seconds"]) if evidence["seconds"] >= 1 else ""
    if numbers.get("rounds"):
        return f"{time}, {count(numbers['rounds'])} rounds"
    words = [
        f"{count(numbers[key])} {word}"
        for key, word in (("executions_complete",
                           "executions"), ("programs", "programs"), ("executions", "executions"),
                          ("states", "states"), ("sequences", "sequences"), ("runs", "runs"))
        if numbers.get(key)
    ]
    return ", ".join(words[:2]) or time


COLUMNS = [("scenario", "Scenarios"), ("program", "Generated programs"), ("core", "Core"),
           ("proof", "Any number"), ("stress", "Real threads"), ("test", "Contract tests")]


def remark(part):
    """What has to stand beside the state of a part: whether its results are old, or of less than
    all of it."""
    words = [part["why"]] if part["why"] else []
    if part.get("partial"):
        words.append(f"a partial run: {', '.join(part['partial'])}")
    if part.get("beside"):
        beside = part["beside"]
        words.append(
            f"besides a partial run, which does not count: {', '.join(beside['partial'])}: "
            f"{beside['done']}")
    return "; ".join(words)


def summary(document):
    project, verdict = document["project"], document["verdict"]
    mark = MARKS[{"reduced": "cut", "incomplete": "cut"}.get(verdict, verdict)]
    lines = [
        f"# {mark} kstone verification: {headline(document)}", "",
        f"kstone {project['version']}, commit "
        f"{project['commit'][:12]}{' with changes' if project['changed'] else ''}, "
        f"{document['environment'].get('compiler', '')}, {document['size']} size. "
        f"{count(document['counts']['executions'])} executions explored.", ""
    ]
    lines += unfolded(document)
    lines += [
        "| Part | | Passed | Argued | Failed | Cut | Not run | Time |",
        "|---|---|---|---|---|---|---|---|"
    ]
    for part in document["parts"]:
        states = part["states"]
        lines.append(f"| {part['title']} | {MARKS[part['state']]} {part['state'].replace('_', ' ')}"
                     f"{', ' + remark(part).replace('|', '&#124;') if remark(part) else ''} | " +
                     " | ".join(
                         str(states.get(s, 0) or "")
                         for s in ("passed", "argued", "failed", "cut", "not_run")) +
                     f" | {duration(part['seconds']) if 'seconds' in part else ''} |")
    if document["programs"]:
        programs = document["programs"]
        lines += [
            "",
            f"Generated programs: {programs['programs_complete']:,} of {programs['programs']:,} "
            f"explored to the end, {programs['programs_nontrivial']:,} of them not trivial "
            f"({programs['least']['nontrivial']:,} are due)."
        ]
    if document["coverage"].get("together"):
        lines += ["", "| Reached by all tests | Branches | Lines |", "|---|---|---|"]
        lines += [
            f"| {folder} | {v['branch_percent']} %, {v['branches_reached']} of {v['branches']} | "
            f"{v['line_percent']} %, {v['lines_reached']} of {v['lines']} |"
            for folder, v in document["coverage"]["together"].items()
        ]
    lines += [
        "", "| Property | " + " | ".join(title for _, title in COLUMNS) + " |",
        "|---|" + "---|" * len(COLUMNS)
    ]
    for entry in document["properties"]:
        cells = []
        for kind, _ in COLUMNS:
            words, state = cell(entry["evidence"].get(kind))
            numbers = numbers_of(entry["evidence"].get(kind))
            cells.append(
                f"{MARKS[state]} {words}{', ' + numbers if numbers else ''}" if words else "")
        lines.append(f"| **{entry['id']}** {entry['title']} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "✓ as it should be, ≈ not shown but kept for a stated reason, ◐ cut by its budget, ○ not "
        "run, ✗ failed.",
        ""
    ]
    reasons = [reason for reason in document["reasons"] if document["verdict"] != "failed"]
    if reasons:
        lines += ["<details><summary>What is missing</summary>", ""
                  ] + [f"- {reason}" for reason in reasons[:60]]
        lines += [f"- and {len(reasons) - 60} more"] if len(reasons) > 60 else []
        lines += ["", "</details>", ""]
    if document["left_out"]:
        lines += ["<details><summary>What the models leave out</summary>", ""
                  ] + [f"- {text}" for text in document["left_out"]]
        lines += ["", "</details>"]
    return fitted("\n".join(lines) + "\n", "verification.json")


def unfolded(document):
    """The stories of what failed, the first of them open."""
    failed = [check for check in document["checks"] if check["state"] == "failed"]
    lines = []
    for check in failed[:20]:
        text = story(document, check, width=140)
        head = text.splitlines()[0]
        lines += [
            f"<details{' open' if check is failed[0] else ''}><summary>✗ "
            f"<b>{escape(check['name'])}</b>: {escape(head)}</summary>",
            "", "```", text, "```", "", "</details>", ""
        ]
    if len(failed) > 20:
        lines += [f"{len(failed) - 20} more failed.", ""]
    return lines


def fitted(text, rest):
    if len(text.encode()) < SUMMARY_LIMIT:
        return text
    cut = text.encode()[:SUMMARY_LIMIT].decode(errors="ignore")
    return f"{cut}\n```\n\n(cut to fit; the rest is in {rest})\n"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# -- A terminal ------------------------------------------------------------------------------------

def failures(document, width=120, most=3, part=None):
    """The stories of the first checks that failed."""
    lines = []
    failed = [
        check for check in document["checks"]
        if check["state"] == "failed" and part in (None, check["part"])
    ]
    for check in failed[:most]:
        lines += [f"✗ {check['name']}", story(document, check, width), ""]
    if len(failed) > most:
        lines.append(f"and {len(failed) - most} more: " +
                     ", ".join(check["name"] for check in failed[most:most + 20]))
    return lines


def terminal(document, width=120):
    lines = failures(document, width)
    for part in document["parts"]:
        states = ", ".join(
            f"{value} {key.replace('_', ' ')}" for key, value in part["states"].items())
        lines.append(
            f"{MARKS[part['state']]} {part['title']:15} "
            f"{states}{'; ' + remark(part) if remark(part) else ''}")
    if document["verdict"] == "incomplete":
        lines += [f"  missing: {reason}" for reason in document["reasons"][:8]]
        lines += [f"  and {len(document['reasons']) - 8} more"
                  ] if len(document["reasons"]) > 8 else []
    lines.append(f"{headline(document)} ({document['size']} size).")
    return "\n".join(lines)


# -- All of it -------------------------------------------------------------------------------------

def lines_of(document):
    """JSON with one line for each entry of a list."""
    def dump(value):
        return json.dumps(value, ensure_ascii=False)

    parts = [
        f"{dump(key)}: " + ("[\n" + ",\n".join(map(dump, value)) +
                            "\n]" if isinstance(value, list) and value else dump(value))
        for key, value in document.items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write(document, directory, history):
    """Every form of the report; whole or not at all."""
    import page  # needs Jinja
    texts = {
        "verification.json": lines_of(document), "junit.xml": junit(document),
        "results.sarif": json.dumps(sarif(document), indent=1, ensure_ascii=False) + "\n",
        "summary.md": summary(document), "index.html": page.render(document, history)
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = directory / (name + ".new")
        path.write_text(text)
        path.rename(directory / name)
