"""scripts/verify coverage: which lines and branches of the library each kind of test reaches, and
why the rest is not reached."""

import collections
import json
import os
import pathlib
import re
import shlex
import shutil
import time

from build import MODEL_FLAGS, ROOT, SOURCES, Failed, in_parallel, last_line, model_sources, run
from mutation import Log
from pace import Share
from stress import merge

HERE = pathlib.Path(__file__).resolve().parent
EXPLANATIONS = HERE / "uncovered.txt"
# clang's coverage is of the source: a branch is a condition, taken either way. gcov's is of the
# machine code, in which each call that may throw, and each cleanup behind it, is a branch too:
# three quarters of what it calls missing are such.
COMPILER, COVERAGE, PROFILES = "clang++-19", "llvm-cov-19", "llvm-profdata-19"
# The counters live in the file, so that processes which end without a word (_exit, a crash) leave
# them behind as well.
FLAGS = [
    "-std=c++20", "-O1", "-g1", "-w", "-fprofile-instr-generate", "-fcoverage-mapping",
    "-fprofile-update=atomic", "-mllvm", "-runtime-counter-relocation"
]
INCLUDES = [
    "include", "tests", "tests/rocksdb", "proptests", "protocol", "tsan", "model", "model/worker",
    "tools/kstone-compact"
]
LIBRARY = [f"src/{name}.cpp" for name in SOURCES]
ADAPTER_PARTS = [
    "column_family_compactor", "database_closer", "database_listener", "database_pause",
    "leveled_picker"
]
ADAPTER = [f"src/rocksdb/{name}.cpp" for name in ADAPTER_PARTS]

# Folder, the files of it, and how many of its branches must be reached by all tests together, in
# percent.
Folder = collections.namedtuple("Folder", "name pattern least")
FOLDERS = [
    Folder("core", r"(detail/(core|words)/\w+\.h|src/core/\w+\.cpp)$", 100),
    Folder("shell", r"kstone/(detail/(shell/)?)?\w+\.h$|src/\w+\.cpp$", 95),
    Folder("adapter", r"rocksdb/\w+\.(h|cpp)$", 0),
]
BY_CHANCE = "By chance: "
# What a quick run has time for: all that the percentages need. The first one always, the others as
# far as there is time for them; with the seconds that each takes (pace.py).
QUICK = {
    "contract_tests": 18, "stress": 14, "core_enumeration": 20, "core_properties": 22,
    "fault_tests": 5, "rocksdb_tests": 16
}
NO_TIME = "left out of a quick run for want of time"
KINDS = {
    "contract": "contract tests", "properties": "property tests of the core",
    "programs": "generated programs", "stress": "real threads", "models": "scenarios"
}


class Program:
    """An executable, and what it is called with."""

    def __init__(self, kind, name, sources, full=(), quick=None, libraries=(), flags=(),
                 environment=None):
        self.kind, self.name, self.sources = kind, name, sources
        self.libraries, self.flags, self.environment = libraries, flags, environment or {}
        self.full, self.quick = full, full if quick is None else quick


def cpp(folder, leave_out=()):
    return [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).glob("*.cpp")) if path.name not in leave_out
    ]


def all_programs():
    gtest = ["-lgtest", "-lgtest_main"]
    model = model_sources()
    # clang does not do what this forbids
    model_flags = [flag for flag in MODEL_FLAGS if flag != "-fno-lifetime-dse"]
    return [
        Program("contract", "contract_tests",
                cpp("tests", ["bare_headers.cpp"]) + LIBRARY, libraries=gtest),
        Program("contract", "fault_tests", ["tests/faults/faults_test.cpp", *LIBRARY],
                libraries=gtest),
        Program("contract", "rocksdb_tests",
                [f"tests/rocksdb/{name}_test.cpp" for name in [*ADAPTER_PARTS, "column_families"]] +
                ADAPTER + LIBRARY,
                libraries=[*gtest, "-lrocksdb"]),
        Program("properties", "core_enumeration", ["proptests/core_enumeration.cpp", *LIBRARY]),
        Program("properties", "core_properties", ["proptests/core_properties.cpp", *LIBRARY],
                ["--sequences", "20000", "--length", "200"],
                ["--sequences", "1000", "--length", "60"], ["-lgtest", "-lrapidcheck"],
                environment={"RC_PARAMS": "seed=20261122"}),
        Program("programs", "programs",
                cpp("proptests/programs") + model + LIBRARY,
                ["--programs", "300", "--budget", "4000", "--seed", "20261122"],
                libraries=["-lrapidcheck"], flags=model_flags),
        Program("stress", "stress",
                cpp("tsan", ["soak.cpp"]) + LIBRARY, ["--seconds", "30", "--seed", "1"],
                ["--seconds", "3", "--seed", "1"], ["-latomic"], ["-mcx16"]),
        Program("models", "scenarios",
                cpp("model/worker") + model + LIBRARY, ["--max-seconds", "1", "--no-minimize"],
                flags=model_flags),
    ]


def add_arguments(parts):
    parser = parts.add_parser(
        "coverage", help="lines and branches that each kind of test reaches",
        description="Compiles the tests with clang's coverage, runs each kind, and lists what none "
                    "of them reaches. Exit status 0 if the branches of the core and the shell are "
                    "reached as far as docs/verification.md demands, and each line or branch that "
                    "is not reached is explained in scripts/verification/uncovered.txt, and no "
                    "other.")
    parser.add_argument("--quick", action="store_true",
                        help="for a shorter time, without scenarios and generated programs")
    parser.add_argument("--only", action="append", default=[], choices=list(KINDS),
                        help="leave the other kinds out")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "verify")
    parser.set_defaults(run=main)


def compiled(arguments, program, folder):
    """The executable. A quick run optimizes what takes longer to compile than to run as little as
    possible."""
    folder.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for name in INCLUDES for path in (ROOT / name).rglob("*.h"))
    level = ["-O0", "-g0"] if arguments.quick and program.kind != "properties" else []
    flags = [*FLAGS, *level, *program.flags, *(f"-I{name}" for name in INCLUDES)]

    def one(source):
        target = folder / (source.replace("/", "_") + ".o")
        if not target.exists() or target.stat().st_mtime < max(newest,
                                                               (ROOT / source).stat().st_mtime):
            status, output = run([COMPILER, *flags, "-c", source, "-o", str(target)], cwd=ROOT)
            if status != 0:
                target.unlink(missing_ok=True)
                return output or "the compiler was killed"
        return ""

    problems = [problem for problem in in_parallel(arguments.jobs, one, program.sources) if problem]
    path = folder / program.name
    if not problems:
        status, output = run([
            COMPILER, *FLAGS, "-o",
            str(path),
            *(str(folder / (source.replace("/", "_") + ".o")) for source in program.sources),
            *program.libraries, "-pthread"
        ])
        problems = [] if status == 0 else [output]
    if problems:
        raise Failed(f"{program.name} does not compile: {problems[0][:1500]}")
    return path


class Reached:
    """How often each line was executed, and each condition true and false, by file."""

    def __init__(self):
        self.lines = collections.defaultdict(collections.Counter)
        self.branches = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, 0]))

    def add(self, other):
        for file, lines in other.lines.items():
            self.lines[file].update(lines)
        for file, branches in other.branches.items():
            for place, (true, false) in branches.items():
                self.branches[file][place][0] += true
                self.branches[file][place][1] += false


def reached_by(path, profile):
    """Of the files of FOLDERS, what the program reached."""
    def exported(form):
        status, output = run([
            COVERAGE, "export",
            str(path), f"-instr-profile={profile}", f"-format={form}", "-skip-expansions",
            str(ROOT / "include"),
            str(ROOT / "src")
        ])
        if status != 0:
            raise Failed(f"{COVERAGE}: {last_line(output)}")
        return output[output.index("{" if form == "text" else "SF:"):]

    found, file = Reached(), ""
    for line in exported("lcov").splitlines():
        if line.startswith("SF:"):
            file = str(pathlib.Path(line[3:]).relative_to(ROOT))
        elif line.startswith("DA:"):
            number, count = line[3:].split(",")[:2]
            found.lines[file][int(number)] += int(count)
    for entry in json.loads(exported("text"))["data"][0]["files"]:
        file = str(pathlib.Path(entry["filename"]).relative_to(ROOT))
        for line, column, last, end, true, false, *_ in entry["branches"]:
            place = found.branches[file][line, column, last, end]
            place[0] += true
            place[1] += false
    return found


def folder_of(file):
    return next((folder.name for folder in FOLDERS if re.search(folder.pattern, file)), None)


class Source:
    """The text of a file, and which lines of it are assertions, whose failing side no test may
    reach."""

    def __init__(self, file):
        self.lines = (ROOT / file).read_text().splitlines()
        self.assertions, inside = set(), 0
        for number, line in enumerate(self.lines, 1):
            if inside or re.match(r"\s*(assert|Sync::check)\(", line):
                inside += line.count("(") - line.count(")")
                self.assertions.add(number)

    def is_switch(self, place):
        """The way past a switch over all enumerators: nothing of its own, since the line behind it
        is listed."""
        return re.match(r"\s*switch \(", self.lines[place[0] - 1]) is not None

    def condition(self, place):
        line, column, last, end = place
        text = self.lines[line - 1]
        return text[column - 1:end - 1] if line == last else text[column - 1:].strip() + " ..."


def measured(reached, sources):
    """Per folder lines and branches, and what is missing: (file, line, what) in words that survive
    a change elsewhere."""
    totals = {
        folder.name: collections.Counter(lines=0, lines_reached=0, branches=0, branches_reached=0)
        for folder in FOLDERS
    }
    missing = []
    for file, lines in sorted(reached.lines.items()):
        folder = folder_of(file)
        if not folder:
            continue
        source, total = sources[file], totals[folder]
        for number, count in sorted(lines.items()):
            total["lines"] += 1
            total["lines_reached"] += count > 0
            if not count and source.lines[number - 1].strip() not in ("}", ""):
                missing.append((file, number, f"`{source.lines[number - 1].strip()}`"))
        for place, counts in sorted(reached.branches[file].items()):
            if place[0] in source.assertions or source.is_switch(place):
                continue
            total["branches"] += 2
            total["branches_reached"] += sum(count > 0 for count in counts)
            if lines.get(place[0]):  # of a line that was never executed, the line is named
                missing += [(file, place[0], f"`{source.condition(place)}` is never {word}")
                            for count, word in zip(counts, ("true", "false")) if not count]
    return totals, missing


def explanations(text):
    """{what is not reached, as `file: what`: why}. A paragraph for each reason: sentences, then
    what they explain, indented. A reason that begins with BY_CHANCE is not stale where a run did
    reach it."""
    found, reason, listed = {}, [], False
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("    "):
            found[line.strip()] = " ".join(reason)
            listed = True
        else:
            reason, listed = ([] if listed else reason) + [line.strip()], False
    return found


def percent(part, whole):
    return round(100 * part / whole, 1) if whole else 100.0


def figures(totals):
    return {
        name: {
            **dict(total), "line_percent": percent(total["lines_reached"], total["lines"]),
            "branch_percent": percent(total["branches_reached"], total["branches"])
        } for name, total in totals.items()
    }


def stands_in(name, sources):
    """Whether there is such a line or condition."""
    file, _, what = name.partition(": `")
    text = what.rpartition("`")[0].removesuffix(" ...")
    return file in sources and any(text in line for line in sources[file].lines)


def judged(by_kind, everything, sources, explained, quick=False):
    """The results, and the checks. What a quick run does not reach may be reached by what it leaves
    out."""
    totals, missing = measured(everything, sources)
    rows, used = [], set()
    for file, line, what in missing:
        name = f"{file}: {what}"
        rows.append({
            "file": file, "line": line, "what": what, "folder": folder_of(file),
            "why": explained.get(name, "")
        })
        used.add(name)
    stale = sorted(name for name, why in explained.items() if name not in used
                   and not (why.startswith(BY_CHANCE) and stands_in(name, sources)))
    together = figures(totals)
    checks = []
    for folder in FOLDERS:
        values = together[folder.name]
        unexplained = [row for row in rows if row["folder"] == folder.name and not row["why"]]
        short = values["branch_percent"] < folder.least
        message = (
            f"{values['branches_reached']} of {values['branches']} branches and "
            f"{values['lines_reached']} of {values['lines']} lines reached" +
            (f"; {folder.least} % of the branches are due" if short else "") +
            (f"; not reached and not explained: " +
             "; ".join(f"{r['file']}:{r['line']} {r['what']}"
                       for r in unexplained) if unexplained else ""))
        checks.append({
            "kind": "coverage", "name": f"coverage of the {folder.name}", "message": message,
            "state": "failed" if short or
                     (unexplained and not quick) else "cut" if unexplained else "passed",
            "numbers": {
                "branch_percent": values["branch_percent"], "line_percent": values["line_percent"]
            }
        })
    for name in stale:
        checks.append({"kind": "coverage", "name": f"stale explanation: {name}", "state": "failed",
                       "message": "it is reached, or is no line of these sources"})
    result = {
        "together": together, "by_kind": {
            kind: figures(measured(reached, sources)[0]) for kind, reached in by_kind.items()
        }, "kinds": {kind: KINDS[kind] for kind in by_kind},
        "least": {folder.name: folder.least for folder in FOLDERS}, "not_reached": rows,
        "stale": stale
    }
    return result, checks


def main(arguments):
    log = Log()
    folder = arguments.output.resolve() / "coverage"
    path = arguments.output / "coverage.json"
    path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    by_kind, everything, seconds, checks = {}, Reached(), {}, []
    kinds, share, left_out = arguments.only or list(KINDS), Share.given(), []
    for tool in (COMPILER, COVERAGE, PROFILES):
        if not shutil.which(tool):
            path.write_text(json.dumps({"why": f"{tool} is missing"}) + "\n")
            log(f"{tool} is missing")
            return 1
    programs = [program for program in all_programs() if program.kind in kinds]
    if arguments.quick and not arguments.only:
        programs = sorted((one for one in programs if one.name in QUICK),
                          key=lambda one: list(QUICK).index(one.name))
    for program in programs:
        if program is not programs[0] and not share.holds(QUICK.get(program.name, 0)):
            left_out.append(program.name)
            checks.append({
                "kind": "coverage", "name": f"coverage by {program.name}", "state": "cut",
                "message": NO_TIME
            })
            log(f"{program.name}: {NO_TIME}")
            continue
        started = time.monotonic()
        try:
            executable = compiled(arguments, program, folder / program.name)
            built = time.monotonic() - started
            raw = folder / program.name / "counters.profraw"
            profile = folder / program.name / "counters.profdata"
            raw.unlink(missing_ok=True)
            options = program.quick if arguments.quick else program.full
            command = [str(executable), *options]
            status, output = run(
                command, cwd=folder / program.name, timeout=1800,
                env={**os.environ, **program.environment, "LLVM_PROFILE_FILE": f"{raw}%c"})
            (folder / program.name / "output.txt").write_text(output)
            # whose suites are red here where their time is up
            if status != 0 and program.kind != "models":
                raise Failed(f"{shlex.join(command)}: status {status}: {last_line(output)}")
            status, output = run([PROFILES, "merge", "-sparse", "-o", str(profile), str(raw)])
            if status != 0:
                raise Failed(f"{PROFILES}: {last_line(output)}")
            found = reached_by(executable, profile)
        except Failed as failure:
            checks.append({
                "kind": "coverage", "name": f"coverage by {program.name}", "state": "failed",
                "message": str(failure)
            })
            log(f"RED {program.name}: {failure}")
            continue
        by_kind.setdefault(program.kind, Reached()).add(found)
        everything.add(found)
        seconds[program.name] = round(time.monotonic() - started)
        log(f"{program.name}: {seconds[program.name]} s, {built:.0f} of them compiling")
    sources = {file: Source(file) for file in everything.lines}
    result, more = judged(by_kind, everything, sources, explanations(EXPLANATIONS.read_text()),
                          arguments.quick)
    if arguments.only or left_out:  # what the other kinds reach is not known
        more = [{
            **check, "state": "cut", "message": "by " + ", ".join(by_kind) + " alone: " +
                                                check["message"].split("; ")[0]
        } if check["state"] != "passed" or arguments.only else check
                for check in more if not check["name"].startswith("stale")]
    checks += more
    path.write_text(json.dumps({**result, "seconds": seconds, "checks": checks}, indent=1) + "\n")
    merge(arguments.output / "props.json", "coverage", result)
    for kind, values in [*result["by_kind"].items(), ("all together", result["together"])]:
        log(f"{kind}: " +
            ", ".join(f"{name} {v['line_percent']} % of lines, {v['branch_percent']} % of branches"
                      for name, v in values.items() if v["lines"]))
    red = [check for check in checks if check["state"] == "failed"]
    for check in red:
        print(f"RED {check['name']}: {check['message']}")
    log("coverage: " + ("green" if not red else f"{len(red)} red") +
        f"; {len(result['not_reached'])} not reached")
    return 1 if red else 0
