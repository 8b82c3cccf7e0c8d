"""What the parts of the verification left behind, as one document: verification.json
(schema/verification.json). Everything else that a report says is made from it."""

import collections
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import xml.etree.ElementTree

import lanes
import weakening
from build import CXX, MUTATED, ROOT, is_cut
from findings import LEAST, found_in
from left_out import left_out
from parts import PARTS, digest, output_of, version_of_package

SCHEMA_VERSION = "1.1"

# The evidence of a property, in the order of its strength, and what each kind is.
KINDS = {
    "scenario": "Scenarios: every interleaving within the limits that stand beside each",
    "program": "Generated programs: every interleaving of each, explained by a sequential "
               "reference",
    "core": "The sequential core against its reference: every state of small sizes, random "
            "sequences of larger ones",
    "proof": "The protocol, proven for any number of requesters, threads and stripes, under "
             "sequential consistency",
    "stress": "Real threads, recorded and replayed, or under a sanitizer: tried, not explored",
    "test": "Contract tests on real threads",
}

# How the line *Elsewhere* of docs/properties.md names a kind of evidence.
PLACES = {"program": "`proptests/programs/`", "core": "`proptests/`", "stress": "`tsan/`"}

# Numbers of a check that say how it was searched, and so do not add up.
LIMITS = {
    "longest_execution", "threads", "requesters", "workers", "stale_depth", "spurious",
    "timeouts_limit", "bound", "weak_cas_failures", "thread_start_failures", "preemptions", "seed"
}

# What the record of a part says of its run.
RECORDED = ("seconds", "finished", "commit", "options", "digest", "reused", "partial", "done",
            "beside")


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def first_line(text):
    return text.splitlines()[0] if text else ""


def commit(root=ROOT):
    output_of.cache_clear()  # it changes while a part runs
    return {
        "commit": output_of("git", "-C", str(root), "rev-parse", "HEAD"),
        "committed": output_of("git", "-C", str(root), "show", "-s", "--format=%cI", "HEAD"),
        "changed": bool(
            output_of("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no"))
    }


def environment():
    found = {
        "system": first_line(output_of("lsb_release", "-ds")) or os_release(),
        "kernel": platform.release(), "machine": platform.machine(),
        "processors": os.cpu_count() or 1
    }
    for name, command in {
            "compiler": CXX, "clang": "clang++", "clang-19": "clang++-19", "cmake": "cmake",
            "python": "python3"
    }.items():
        found[name] = first_line(output_of(command, "--version"))
    for package in ("relacy-dev", "librapidcheck-dev", "libgtest-dev", "libz3-dev", "cvc5",
                    "nlohmann-json3-dev"):
        found[package] = version_of_package(package)
    return {name: value for name, value in found.items() if value != ""}


def os_release():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return platform.system()


def table_rows(path, pattern):
    """The rows of a Markdown table whose first cell matches."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(pattern, cells[0]):
            rows.append(cells)
    return rows


def property_sections(path):
    """Those of docs/properties.md, `### P1 Title`: a paragraph, and a line for each of three
    words."""
    text = path.read_text() if path.exists() else ""
    found = []
    for identity, title, body in re.findall(r"^### (P\d+) ([^\n]+)\n(.*?)(?=^#|\Z)", text,
                                            re.M | re.S):
        sentence, *items = re.split(r"^- ", body, flags=re.M)
        lines = dict(" ".join(item.split()).partition(": ")[::2] for item in items)
        missing = {"Model", "Elsewhere", "Has to happen"} - set(lines)
        if missing:
            raise ValueError(f"{path.name}: {identity} lacks the line '- {min(missing)}: ...'")
        found.append({
            "id": identity, "title": title, "text": f"{title}. {' '.join(sentence.split())}",
            "model": lines["Model"], "elsewhere": lines["Elsewhere"],
            "has_to_happen": re.findall(r"`([^`]+)`", lines["Has to happen"])
        })
    return found


def natural(text):
    return [int(piece) if piece.isdigit() else piece for piece in re.split(r"(\d+)", text)]


class Collector:
    def __init__(self, output, root=ROOT, quick=False):
        self.output, self.root, self.quick = output, root, quick
        self.model = read_json(output / "model.json")
        self.records = read_json(output / "parts.json")
        self.checks, self.counterexamples = [], []
        self.paths, self.found_paths = {}, {}
        for folder in ("model", "src", "include/kstone"):
            for path in (root / folder).rglob("*"):
                if path.suffix in (".h", ".cpp"):
                    self.paths[path.name] = str(path.relative_to(root))
        self.properties = [{
            key: entry[key] for key in ("id", "title", "text", "model", "elsewhere")
        } for entry in property_sections(root / "docs" / "properties.md")]

    def path_of(self, path):
        """From the root, of a file that the compiler was given; the sources of mutants are
        copies."""
        if path not in self.found_paths:
            parts = pathlib.PurePath(path).parts
            ends = (pathlib.PurePath(*parts[i:]) for i in range(len(parts)))
            here = (str(end) for end in ends
                    if not end.is_absolute() and end.parts[0] not in ("..",
                                                                      "build") and (self.root /
                                                                                    end).is_file())
            self.found_paths[path] = next(here, self.paths.get(parts[-1] if parts else "", path))
        return self.found_paths[path]

    def check(self, part, kind, name, state, message="", properties=(), **more):
        """`state`: passed, failed, argued (not shown, but a reason is on record), cut (by its
        budget), not_run."""
        entry = {
            "id": f"{part}/{kind}/{name}", "part": part, "kind": kind, "name": name, "state": state,
            "message": message, "properties": list(properties),
            **{key: value for key, value in more.items() if value is not None}
        }
        self.checks.append(entry)
        return entry

    # -- Counter-examples --------------------------------------------------------------------------

    def counterexample(self, check, purpose, entry, replay, text="", **more):
        """`purpose`: defect (nobody wanted it), must_fail, mutant or weakening (a suite had to find
        it). `entry` has lanes and steps; `text` is what there is of a failure without them."""
        found = lanes.counterexample(entry, self.path_of)
        culprit = lanes.culprit(found, lambda file: not file.startswith(("model/", "proptests/")))
        found.update(file=culprit[0], line=culprit[1])
        found.update({key: value for key, value in more.items() if value is not None})
        entry = {
            "id": f"c{len(self.counterexamples) + 1}", "check": check["id"], "purpose": purpose,
            "replay": replay, "failure": "", "message": "", "properties": check["properties"],
            "line": None, "file": None, **found
        }
        if not entry["steps"] and text:
            entry["text"] = text[-3000:]
        self.counterexamples.append(entry)
        check["counterexample"] = entry["id"]
        if "file" not in check and entry["file"]:
            check["file"], check["line"] = entry["file"], entry["line"]

    # -- Model -------------------------------------------------------------------------------------

    def collect_model(self):
        model = self.model
        litmus = model.get("litmus", {})
        if litmus.get("ran"):
            self.check("model", "litmus", "litmus", "passed" if litmus["green"] else "failed",
                       litmus.get("text", ""))
        else:
            self.check("model", "litmus", "litmus", "not_run", litmus.get("why", "not run"))
        rows = model.get("scenarios") or []
        if not rows:
            self.check("model", "scenario", "scenarios", "not_run", "not run")
        for row in rows:
            self.scenario(row)
        self.soundness(model.get("soundness", {}))
        self.weakenings(model.get("weakenings", {}))
        if not model.get("comparison"):
            self.check("model", "comparison", "comparison", "not_run", "not run")
        else:
            self.check("model", "comparison", "comparison", "passed",
                       f"{len(model['comparison'])} searches compared")
        said = [(c["name"], c["kind"])
                for c in self.checks if c["state"] in ("failed", "cut", "not_run")]
        for problem in model.get("red", []):
            about = problem.split(":")[0].split(" ")[0]
            if not any(about in (name, kind, f"{kind}s") for name, kind in said):
                self.check("model", "problem", problem[:80], "failed", problem)

    def scenario(self, row):
        message = row.get("message") or row.get("why") or ""
        if row["green"]:
            state, message = "passed", ""
        elif row.get("stands_in"):
            state, message = "argued", f"too large; in its place: {row['stands_in']}"
        elif is_cut(row) and (row.get("mode") != "random" or self.waits_for_cut(row)):
            state, message = "cut", row["reason"]
        else:
            state, message = "failed", message or row.get("reason", "")
        known = {entry["id"] for entry in self.properties}
        properties = [word for word in row["property"].split() if word in known]
        for word in set(re.findall(r"\bP\d+\b", row["property"])) - known:
            self.check("model", "problem", f"{row['name']}: {word}", "failed",
                       f"{word} has no section in docs/properties.md")
        check = self.check("model", "scenario", row["name"], state, message, properties,
                           seconds=row.get("explored_seconds"))
        check["numbers"] = {
            key: row[key]
            for key in ("executions_complete", "executions_redundant", "longest_execution",
                        "threads", "requesters", "workers", "stale_depth", "stale_reads",
                        "spurious", "spurious_wakeups", "timeouts_limit", "timeouts",
                        "weak_cas_failures", "thread_start_failures", "preemptions", "bound")
            if row.get(key) is not None
        }
        check.update(must_fail=bool(row.get("must_fail")), verdict=row["verdict"],
                     exhaustive=bool(row.get("exhaustive")), mode=row.get("mode", ""),
                     expected=row.get("failure", "") if row.get("must_fail") else "",
                     executable=row.get("executable", ""), covers=row.get("covers", []))
        if row.get("suite_file"):
            check["suite_file"] = self.path_of(row["suite_file"])
            check["suite_line"] = row["suite_line"]
        if row.get("lanes"):
            self.counterexample(check,
                                "must_fail" if row.get("must_fail") and row["green"] else "defect",
                                row, replay_command(row["replay"], row.get("executable")),
                                failure=row["failure"], message=row["message"], suite=row["name"],
                                fewest_preemptions=row.get("fewest_preemptions"))

    def waits_for_cut(self, row):
        """Whether a random search proves nothing since what stands in for it was cut, and none of
        that failed."""
        by_name = {other["name"]: other for other in self.model["scenarios"]}
        stand_ins = [by_name.get(name) for name in (row.get("fallback") or "").split()]
        return bool(stand_ins) and all(other and (other["green"] or is_cut(other))
                                       for other in stand_ins)

    def soundness(self, counts):
        if not counts.get("ran"):
            self.check("model", "soundness", "soundness", "not_run", counts.get("why", "not run"))
            return
        wrong = (counts["equal"] != counts["programs"]
                 or counts["planted_caught"] != counts["planted"])
        state = "failed" if wrong else "cut" if counts["programs"] < 5000 else "passed"
        self.check(
            "model", "soundness", "soundness", state,
            f"{counts['equal']} of {counts['programs']} programs equal, {counts['planted_caught']} "
            f"of {counts['planted']} planted faults noticed" +
            (" (5,000 programs are due)" if state == "cut" else ""),
            numbers={key: value for key, value in counts.items() if key != "ran"})

    def weakenings(self, data):
        if not data.get("ran"):
            self.check("model", "weakening", "weakening", "not_run", data.get("why", "not run"))
            return
        for problem in data["problems"]:
            self.check("model", "problem", problem[:80], "failed", problem)
        for row in data["list"]:
            state = {"caught": "passed", "argued": "argued", "missed": "failed",
                     "cut": "cut"}[row["verdict"]]
            check = self.check("model", "weakening", f"{row['label']} {row['from']} -> {row['to']}",
                               state,
                               row.get("argument") or row["why"], label=row["label"],
                               suite=row["suite"] or None, weaker=row["to"], order=row["from"])
            operation = self.operations.get(row["label"])
            if operation:
                check["file"], check["line"] = operation[0], operation[2]
            if caught := read_json(self.output / (row["history"] or "-")):
                self.counterexample(check, "weakening", caught["counterexample"],
                                    replay_command(caught["replay"], demote=caught["demote"]),
                                    caught["output"], failure=row["why"], message=caught["message"],
                                    suite=row["suite"], file=check.get("file"),
                                    line=check.get("line"))

    # -- Mutants -----------------------------------------------------------------------------------

    def collect_mutants(self):
        stored = self.model.get("mutants", {})
        partial = read_json(self.output / "mutants" / "results.json").get("list", [])
        rows = stored.get("list") if stored.get("ran") else partial
        if not rows:
            self.check("mutants", "mutant", "mutants", "not_run", stored.get("why", "not run"))
            return
        for problem in stored.get("problems", []) + stored.get("red_before", []):
            self.check("mutants", "problem", problem[:80], "failed", problem)
        if not stored.get("ran"):
            self.check("mutants", "campaign", "campaign", "cut",
                       f"{len(rows)} mutants tried so far, not all by all suites")
        for row in rows:
            if row["verdict"] == "stillborn":
                continue
            state = {"killed": "passed", "equivalent": "argued"}.get(row["verdict"], "failed")
            if state == "failed" and not (stored.get("ran") and row.get("deep", True)):
                state = "cut"
            message = row.get("argument") or row.get("message") or ("" if state == "passed" else
                                                                    "no suite notices this change")
            check = self.check("mutants", "mutant", row["name"], state, message, file=row["file"],
                               line=row["line"], operator=row["operator"], suite=row.get("suite"),
                               by=row.get("by"), how=row.get("how"))
            killed = read_json(self.output / "mutants" /
                               row.get("history", "-")) if state == "passed" else {}
            if killed:
                self.counterexample(check, "mutant", killed["counterexample"],
                                    replay_command(killed["replay"],
                                                   mutant=row["name"]), failure=row.get("failure")
                                    or row.get("how", ""), message=row.get("message", ""),
                                    suite=row["suite"], change=killed["change"].strip("\n")[:4000],
                                    file=row["file"], line=row["line"])

    # -- Property tests and real threads -----------------------------------------------------------

    def collect_entries(self, part, kinds, data):
        """Checks as docs/verification.md describes them, and the results of the programs of
        `proptests/` as they are."""
        entries = list(data.get("checks") or found_in(data, "quick" if self.quick else "full"))
        for kind in kinds:
            if not any(entry.get("kind", kinds[0]) == kind for entry in entries):
                self.check(part, kind, kind, "not_run", data.get("why", "not run"))
        for entry in entries:
            kind = entry.get("kind", kinds[0])
            # What no entry says is what docs/properties.md says: where a property is checked
            # besides.
            properties = entry.get("properties") or [
                p["id"]
                for p in self.properties if kind in PLACES and PLACES[kind] in p["elsewhere"]
            ]
            check = self.check(part, kind, entry["name"], entry["state"], entry.get("message", ""),
                               properties, seconds=entry.get("seconds"),
                               numbers=entry.get("numbers", {}), verdict=entry.get("verdict"))
            if entry.get("history") or entry.get("replay"):
                self.counterexample(check, "must_fail" if entry["state"] == "passed" else "defect",
                                    entry, entry.get("replay", ""), entry.get("history", ""),
                                    failure=entry.get("failure", "failed"),
                                    message=entry.get("message", ""), suite=entry["name"])

    # -- Contract tests ----------------------------------------------------------------------------

    def collect_tests(self):
        try:
            suite = xml.etree.ElementTree.parse(self.output / "tests.xml").getroot()
        except (OSError, xml.etree.ElementTree.ParseError):
            self.check("tests", "test", "tests", "not_run", "not run")
            return
        by_test = self.properties_of_tests()
        for case in suite.iter("testcase"):
            name = case.get("name")
            skipped = case.find("skipped")
            state = {"run": "passed", "fail": "failed"}.get(case.get("status"), "not_run")
            output = case.findtext("system-out") or ""
            message = "" if state == "passed" else (
                skipped.get("message", "") if skipped is not None else "") or tail(output)
            self.check("tests", "test", name, state, message,
                       sorted(by_test.get(name, []), key=natural),
                       seconds=float(case.get("time") or 0), **test_site(output, self.root, state))

    def properties_of_tests(self):
        """Names of ctest -> the properties whose section in docs/properties.md names the file that
        the test stands in."""
        found = collections.defaultdict(set)
        for entry in self.properties:
            for file in re.findall(r"`(tests/[\w/]+\.cpp)`", entry["elsewhere"]):
                path = self.root / file
                for suite, name in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)",
                                              path.read_text() if path.exists() else "", re.M):
                    found[f"contract.{suite}.{name}"].add(entry["id"])
        return found

    # -- All of it ---------------------------------------------------------------------------------

    def parts(self):
        found = []
        for name, part in PARTS.items():
            record = self.records.get(name, {})
            mine = [check for check in self.checks if check["part"] == name]
            states = collections.Counter(check["state"] for check in mine)
            ran = any(check["state"] != "not_run" for check in mine)
            unsaid = not states["failed"] and not states["cut"] and not states["not_run"]
            if ran and record.get("status") not in (0, None) and unsaid:
                mine.append(
                    self.check(name, "problem", "status", "failed",
                               f"ended with status {record['status']}: {record.get('last', '')}"))
                states["failed"] += 1
            state = ("failed" if states["failed"] else "not_run" if not ran else
                     "cut" if states["cut"] or states["not_run"] else "passed")
            ended = record.get("cut") or ("did not end"
                                          if record and record.get("status") is None else "")
            if ended and not states["failed"]:
                self.check(name, "budget", "budget", "cut", ended)
                states["cut"] += 1
                state = "cut" if ran else "not_run"
            if ran and record.get("partial"):
                self.check(
                    name, "budget", "partial", "cut",
                    f"a partial run: {', '.join(record['partial'])}; done: "
                    f"{record.get('done') or 'it did not end'}")
                states["cut"] += 1
                state = "failed" if states["failed"] else "cut"
            stale = ran and record.get("digest") != digest(name, self.root)
            why = ("" if not stale else "the sources have changed since" if record else
                   "of which sources is not recorded")
            found.append({
                "name": name, "title": part.title, "state": state, "stale": stale, "why": why,
                "states": dict(states), **{key: record[key] for key in RECORDED
                                           if record.get(key) is not None}
            })
        return found

    def evidence(self):
        """For each property, by kind of evidence: how many checks, in which state, and their
        numbers."""
        for entry in self.properties:
            entry["evidence"] = {}
            for kind in KINDS:
                mine = [
                    c for c in self.checks if c["kind"] == kind and entry["id"] in c["properties"]
                ]
                if not mine:
                    continue
                numbers = collections.Counter()
                # what was cut, or searched at random, does not swell what was shown
                for check in mine:
                    shown = check.get("numbers", {}) if check["state"] == "passed" else {}
                    for key, value in shown.items():
                        is_number = (isinstance(value, (int, float))
                                     and not isinstance(value, bool))
                        if key not in LIMITS and is_number:
                            numbers[key] += value
                entry["evidence"][kind] = {
                    "checks": len(mine),
                    "states": dict(collections.Counter(c["state"] for c in mine)),
                    "must_fail": sum(c.get("must_fail", False) for c in mine),
                    "seconds": round(sum(c.get("seconds") or 0 for c in mine), 2),
                    "numbers": dict(numbers)
                }
            entry["looked_at"] = any(
                kind["states"].get("passed") for kind in entry["evidence"].values())

    def orders(self):
        rows = []
        for label, where, order, pairs, publishes in table_rows(
                self.root / "docs" / "memory-orders.md", r"[A-Z]\d+"):
            row = {
                "label": label, "where": where.replace("`", ""), "order": order,
                "pairs": re.findall(r"\w+", pairs), "publishes": publishes,
                "weakenings": [c["id"] for c in self.checks if c.get("label") == label]
            }
            if label in self.operations:
                row["file"], row["line"] = self.operations[label][0], self.operations[label][2]
            rows.append(row)
        return rows

    def sources(self):
        """The text of what is changed by mutants or stands in a counter-example."""
        files = set(MUTATED) | {check["file"] for check in self.checks if check.get("file")}
        for entry in self.counterexamples:
            files |= {step["file"] for step in entry["steps"] if "file" in step}
        return {
            file: (self.root / file).read_text()
            for file in sorted(files) if (self.root / file).is_file()
        }

    def collect(self):
        try:
            self.operations = weakening.operations(self.root)
        except SystemExit:  # the sources are being edited
            self.operations = {}
        self.collect_model()
        self.collect_mutants()
        props = read_json(self.output / "props.json")
        self.collect_entries("props", ["program", "core"], props)
        self.collect_entries("stress", ["stress"], read_json(self.output / "stress.json"))
        self.collect_entries("proof", ["proof"], read_json(self.output / "proof.json"))
        self.collect_tests()
        coverage = read_json(self.output / "coverage.json")
        self.collect_entries("coverage", ["coverage"], coverage)
        parts = self.parts()
        self.evidence()
        verdict, reasons = judge(parts, self.checks, self.properties, self.quick)
        states = collections.Counter(check["state"] for check in self.checks)
        scenarios = [check for check in self.checks if check["kind"] == "scenario"]
        version = last(r"^\s+VERSION (\S+)$", (self.root / "CMakeLists.txt").read_text())
        executions = sum(c.get("numbers", {}).get("executions_complete", 0) for c in scenarios)
        purposes = collections.Counter(c["purpose"] for c in self.counterexamples)
        covered = ("together", "by_kind", "kinds", "least", "not_reached")
        return {
            "schema": "kstone.verification", "schema_version": SCHEMA_VERSION,
            "generated": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "project": {"name": "kstone", "version": version, **commit(self.root)},
            "environment": environment(), "size": "quick" if self.quick else "full",
            "verdict": verdict, "reasons": reasons,
            "counts": {"checks": len(self.checks), "states": dict(states),
                       "executions": executions, "counterexamples": dict(purposes)},
            "kinds": KINDS, "parts": parts, "properties": self.properties, "checks": self.checks,
            "orders": self.orders(), "counterexamples": self.counterexamples,
            "comparison": self.model.get("comparison") or [], "left_out": left_out(self.root),
            "coverage": {key: coverage[key] for key in covered if key in coverage},
            "programs": programs_of(props), "sources": self.sources()
        }


def judge(parts, checks, properties, quick):
    """passed, failed, incomplete (nothing failed, but something is missing), or reduced (all of a
    quick run is as it should be), and why."""
    failed = [
        f"{check['name']}: {check['message']}" for check in checks if check["state"] == "failed"
    ]
    if failed:
        return "failed", failed
    missing = [
        f"{part['title']}: {part['why'] or 'not run'}"
        for part in parts if part["state"] == "not_run" or part["stale"]
    ]
    missing += [
        f"{check['name']} did not run: {check['message']}"
        for check in checks if check["state"] == "not_run" and any(
            part["name"] == check["part"] and part["state"] != "not_run" for part in parts)
    ]
    missing += [
        f"{entry['id']} {entry['title']}: nothing that ran looks at it"
        for entry in properties if not entry["looked_at"]
    ]
    cut = [f"{check['name']}: {check['message']}" for check in checks if check["state"] == "cut"]
    if missing or (cut and not quick):
        return "incomplete", missing + cut
    return ("reduced", cut) if quick else ("passed", [])


def programs_of(props):
    """How many programs of each size were drawn, and explored to the end."""
    source = props.get("generated", props)
    detail = source.get("programs_detail", source)
    if not detail.get("histogram"):
        return {}
    return {
        **{key: source[key] for key in ("programs", "programs_complete", "programs_nontrivial")},
        "budget": detail.get("budget"), "least": detail.get("least") or LEAST["full"]._asdict(),
        "histogram": detail["histogram"]
    }


STATUS = {"passed": 0, "reduced": 0, "failed": 1, "incomplete": 3}


def replay_command(line, executable=None, mutant=None, demote=None):
    if not line:
        return ""
    command = ["scripts/verify", "replay", line]
    command += ["--kernel"] if executable == "model_kernels" else []
    command += ["--mutant", mutant] if mutant else []
    command += ["--demote", demote] if demote else []
    return shlex.join(command)


def last(pattern, text):
    found = re.findall(pattern, text, re.M)
    return found[-1] if found else ""


def tail(text):
    return "\n".join([line for line in text.splitlines() if line.strip()][-12:])


def test_site(output, root, state):
    """Where GoogleTest says that an expectation does not hold."""
    found = re.search(r"^(\S+\.cpp):(\d+): Failure", output, re.M) if state == "failed" else None
    if not found:
        return {}
    path = pathlib.Path(found[1])
    return {
        "file": str(path.relative_to(root) if path.is_relative_to(root) else path),
        "line": int(found[2])
    }
