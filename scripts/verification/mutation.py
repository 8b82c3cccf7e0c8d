"""scripts/verify mutants: every mutant of the worker must be noticed by a suite, or be declared
equivalent with a reason."""

import collections
import concurrent.futures
import difflib
import fnmatch
import hashlib
import itertools
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading
import time

import enumerations
import lanes
import operators
import order
from build import (CORE, MUTATED, ROOT, Builder, Failed, Suites, Tree, in_parallel, last_line,
                   run)
from judges import AT_ONCE, Tests
from pace import Share

HERE = pathlib.Path(__file__).resolve().parent
# What no operator makes: several lines at once, or a different idea.
PATCHES = HERE / "mutants"

# The suites of the first pass take no longer than this on the sources as they are.
QUICK_SECONDS = 0.25
# Those that generated programs are tried on (programs.py draws them).
DRAW = ROOT / "proptests" / "programs" / "drawn_mutants.txt"
# What is declared equivalent is searched by those that take no longer than this; every one of them
# to its end.
DECLARED_SECONDS = 2
# Of a quick run: so many mutants are tried at least, and a suite gets so long on the sources as
# they are; what it takes to ask the compiler about one mutant (pace.py has the unit).
LEAST_TRIED, BASELINE_SECONDS, ASKED_SECONDS = 6, 0.3, 3


def add_arguments(parts):
    parser = parts.add_parser(
        "mutants", help="changes to the worker that a suite must notice",
        description="Changes the worker in every way that scripts/verification/operators.py knows "
                    "and in those of the patches in scripts/verification/mutants, and runs the "
                    "suites against each until one is red.")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "verify" / "mutants")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--only", action="append", default=[], metavar="PATTERN",
        help="mutants whose name matches (* and ?); the results are not kept in model.json")
    parser.add_argument("--resume", action="store_true",
                        help="keep the kills of the last run; try the others again")
    parser.add_argument("--seconds", type=float, default=5,
                        help="for one suite; a longer one is searched in part (5)")
    parser.add_argument("--no-tests", action="store_true", help="the models alone")
    parser.add_argument("--no-deep", action="store_true", help="leave out the long suites")
    parser.add_argument("--list", action="store_true", help="list the mutants")
    parser.add_argument("--self-test", action="store_true",
                        help="show that this program can say no")
    parser.set_defaults(run=main)


class Log:
    def __init__(self):
        self.started = time.monotonic()
        self.lock = threading.Lock()

    def __call__(self, text):
        with self.lock:
            print(f"[{time.monotonic() - self.started:6.0f} s] {text}", flush=True)


def make_mutants(tree, extra=()):
    texts = {file: tree.text(file) for file in MUTATED}
    sources = {file: operators.Source(file, texts[file]) for file in MUTATED}
    facts = order.Facts.of(texts.values())
    try:
        found = enumerations.of(tree.directory, MUTATED)
    except enumerations.Unreadable as failure:
        raise SystemExit(str(failure)) from failure
    mutants = []
    for file in MUTATED:
        mutants += operators.mutants_of(sources[file], facts, found)
    by_hand, stale = operators.handwritten([*operators.read_patches(PATCHES), *extra], texts)
    mutants += by_hand
    names = collections.Counter(mutant.name for mutant in mutants)
    for name, count in names.items():
        if count > 1:
            raise SystemExit(f"two mutants have one name: {name}")
    for number, mutant in enumerate(mutants, 1):
        mutant.number = number
    return texts, sources, mutants, stale


def declarations(text):
    """equivalents.txt: an unindented paragraph is an argument, the indented lines below it the
    mutants that it is for."""
    found, argument, closed = {}, "", True
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith(" "):
            name = line.strip()
            if name in found:
                raise SystemExit(f"equivalents.txt declares a mutant twice: {name}")
            if not argument:
                raise SystemExit(f"equivalents.txt gives no reason for: {name}")
            found[name] = argument
            closed = True
        else:
            argument = line.strip() if closed else f"{argument} {line.strip()}"
            closed = False
    return found


def write_overlay(folder, texts, sources, mutants):
    if folder.exists():
        shutil.rmtree(folder)
    for file in MUTATED:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(operators.combine(sources[file], mutants))
    (folder / "selector.h").write_text(operators.SELECTOR)


def write_single(folder, texts, mutant):
    if folder.exists():
        shutil.rmtree(folder)
    by_file = collections.defaultdict(list)
    for file, start, end, after in mutant.edits:
        by_file[file].append((start, end, after))
    for file, edits in by_file.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#line 1 "{file}"\n' + operators.applied(texts[file], edits))


def difference(texts, mutant):
    lines = []
    by_file = collections.defaultdict(list)
    for file, start, end, after in mutant.edits:
        by_file[file].append((start, end, after))
    for file, edits in by_file.items():
        lines += difflib.unified_diff(texts[file].splitlines(),
                                      operators.applied(texts[file], edits).splitlines(), file,
                                      file, lineterm="", n=2)
    return "\n".join(lines)


class Campaign:
    def __init__(self, arguments, log, extra=()):
        self.arguments, self.log = arguments, log
        self.share, self.quick_seconds = Share.given(), QUICK_SECONDS
        if self.share.is_limited():
            arguments.seconds = min(arguments.seconds,
                                    max(BASELINE_SECONDS, BASELINE_SECONDS * self.share.pace))
            self.quick_seconds *= max(1, self.share.pace)
        self.directory = arguments.build
        self.directory.mkdir(parents=True, exist_ok=True)
        for stale in ("rest", "all", "deep", "single"):
            shutil.rmtree(self.directory / stale, ignore_errors=True)
        self.tree = Tree(self.directory / "tree")
        self.texts, self.sources, self.mutants, self.stale = make_mutants(self.tree, extra)
        for complaint in self.stale:
            log(f"STALE patch: {complaint}")
        self.builder = Builder(self.tree, self.directory, arguments.jobs)
        self.declared = declarations((HERE / "equivalents.txt").read_text())
        self.results, self.unsteady, self.red = {}, {}, []
        self.kills = collections.Counter()
        self.state = self.digest()
        self.histories = self.directory / "histories"
        self.histories.mkdir(exist_ok=True)

    def selectable(self):
        return [m for m in self.mutants if operators.is_selectable(m, self.sources)]

    # -- Building ----------------------------------------------------------------------------------

    def without_stillborn(self, chosen, compile):
        """Those of `chosen` that share an executable; those that do not compile drop out."""
        together = [m for m in self.selectable() if m in chosen]
        for attempt in range(20):
            write_overlay(self.directory / "overlay", self.texts, self.sources, together)
            errors = compile()
            if not errors:
                return together
            guilty = {
                int(number)
                for number in re.findall(r"\bmutant/(\d+)/\S+:\d+:\d+: (?:fatal )?error", errors)
            }
            # an error in a template of the standard library that a mutant instantiates
            if not guilty:
                guilty = {int(number) for number in re.findall(r"\bmutant/(\d+)/", errors)[:1]}
            if not guilty:
                raise Failed(f"what judges does not compile:\n{errors[:6000]}")
            for mutant in together:
                if mutant.number in guilty:
                    self.stillborn(mutant, errors, f"mutant/{mutant.number}/")
            together = [m for m in together if m.number not in guilty]
        raise Failed("what judges does not compile")

    def stillborn(self, mutant, errors, mark="error"):
        line = next((line for line in errors.splitlines() if mark in line), errors)
        self.result(mutant, verdict="stillborn", message=line[:300])

    def build(self, chosen):
        """One executable of the suites with all mutants that can share one."""
        self.builder.objects = self.builder.model_objects()

        def compile():
            path, errors = self.builder.executable("all", self.directory / "overlay", "-O0")
            self.path = path
            return errors

        self.together = self.without_stillborn(chosen, compile)
        self.suites = Suites(self.path, self.directory)

    def result(self, mutant, **values):
        self.results[mutant.name] = {
            "name": mutant.name, "file": mutant.file, "line": mutant.line,
            "operator": mutant.operator, **values
        }

    def baseline(self):
        """How long each suite takes on the sources as they are. Suites that must fail are not asked
        about mutants."""
        self.times, self.unfinished, red = {}, [], []
        names = [name for name, _, must_fail in self.suites.names() if not must_fail]

        def one(name):
            return self.suites.run(name, self.arguments.seconds)

        for result in in_parallel(self.arguments.jobs, one, names):
            if result["outcome"] == "green":
                self.times[result["suite"]] = result["seconds"]
            elif result["outcome"] == "unfinished":
                self.unfinished.append(result["suite"])
            else:
                red.append(f"{result['suite']}: {result['outcome']}, {result['message']}")
        self.red += red
        self.order = sorted(self.times, key=self.times.get)
        (self.directory / "baseline.json").write_text(
            json.dumps({**self.times, **{n: None for n in self.unfinished}}, indent=1))
        self.log(
            f"{len(self.order)} suites are green on the sources as they are, "
            f"{len(self.unfinished)} take longer than {self.arguments.seconds:g} s, {len(red)} are "
            f"red")
        for line in red:
            self.log(f"RED on the sources as they are, and so no judge: {line}")

    # -- Judging -----------------------------------------------------------------------------------

    def judge(self, suites, number, names, seconds):
        """The first suite of `names` that notices; how many were searched to the end; those that
        were not."""
        finished, cut_short = 0, []
        for name in names:
            result = suites.run(name, seconds(name), mutant=number)
            if result["outcome"] == "green":
                finished += 1
            elif result["outcome"] == "unfinished":
                cut_short.append(name)
            else:
                return result, finished, cut_short
        return None, finished, cut_short

    def keep(self, mutant, kill, kind):
        self.kills[kill["suite"]] += 1
        digest = hashlib.sha1(mutant.name.encode()).hexdigest()[:12]
        path = self.histories / f"{digest}.json"
        path.write_text(
            json.dumps(
                {
                    "mutant": mutant.name, "file": mutant.file, "line": mutant.line,
                    "suite": kill["suite"], "outcome": kill["outcome"], "failure": kill.get(
                        "failure", ""), "message": kill["message"], "change": difference(
                            self.texts, mutant), "replay": kill["replay"], "output": kill["output"],
                    "counterexample": lanes.counterexample(kill.get("entry", {}))
                }, indent=1, ensure_ascii=False) + "\n")
        self.result(mutant, verdict="killed", by=kind, suite=kill["suite"], how=kill["outcome"],
                    failure=kill.get("failure",
                                     ""), message=kill["message"], history=f"histories/{path.name}")

    def quick(self, mutant):
        names = [name for name in self.order if self.times[name] <= self.quick_seconds]
        names.sort(key=lambda name: self.times[name] / (1 + self.kills[name]))
        kill, finished, cut_short = self.judge(self.suites, mutant.number, names,
                                               lambda name: 1 + 4 * self.times[name])
        if kill:
            self.keep(mutant, kill, "model")
        else:
            self.result(mutant, verdict="survived", quick=True, finished=finished,
                        cut_short=cut_short)

    def deep(self, mutant):
        before = self.results[mutant.name]
        most = DECLARED_SECONDS if mutant.name in self.declared else self.arguments.seconds
        names = before.get("cut_short", []) + [
            name for name in self.order if self.quick_seconds < self.times[name] <= most
        ]
        if mutant.name not in self.declared:
            names += self.unfinished  # searched in part: they can refute, not confirm
        kill, finished, cut_short = self.judge(self.suites, mutant.number, names,
                                               lambda name: self.arguments.seconds)
        if kill:
            self.keep(mutant, kill, "model")
        else:
            before.update(deep=True, finished=before.get("finished", 0) + finished,
                          cut_short=cut_short)

    def alone(self, mutant):
        """A mutant that cannot share an executable."""
        folder = self.directory / "single"
        write_single(folder, self.texts, mutant)
        scenarios = sorted(self.tree.scenarios(),
                           key=lambda path: path.name != "no_lost_wake_up.cpp")
        number, shared = mutant.number, self.suites
        # One file kills most of these; all of them are compiled for what lives.
        for files in (scenarios[:1], scenarios):
            path, errors = self.builder.executable(f"single-{number}", folder, "-O0", files)
            if not path:
                self.stillborn(mutant, errors)
                break
            self.suites = Suites(path, self.directory)
            present = {name for name, _, _ in self.suites.names()}
            times, self.times = self.times, {
                name: time for name, time in self.times.items() if name in present
            }
            order, self.order = self.order, [name for name in self.order if name in present]
            unfinished, self.unfinished = self.unfinished, [
                name for name in self.unfinished if name in present
            ]
            try:
                mutant.number = 0
                self.quick(mutant)
                survived = self.results[mutant.name]["verdict"] == "survived"
                if survived and files is scenarios and not self.arguments.no_deep:
                    self.deep(mutant)
            finally:
                mutant.number, self.suites, self.times = number, shared, times
                self.order, self.unfinished = order, unfinished
            if self.results[mutant.name]["verdict"] == "killed":
                break
        shutil.rmtree(self.directory / f"single-{number}", ignore_errors=True)

    # -- The compiler's opinion --------------------------------------------------------------------

    def same_code(self, mutant, folder_name):
        """Whether an optimizing compiler makes the same code of the mutant: then nobody can tell
        the difference."""
        folder = self.directory / folder_name
        if mutant:
            write_single(folder, self.texts, mutant)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        codes = []
        for source in [*CORE, "background_worker"]:
            if mutant and source not in CORE and all(edit[0].startswith("src/core/")
                                                     for edit in mutant.edits):
                break
            path = folder / f"src/{source}.cpp"
            target = folder / f"{pathlib.Path(source).name}.s"
            problem = self.builder.compile(path if path.exists() else f"src/{source}.cpp", target,
                                           [folder / "include", "include"],
                                           ["-std=c++20", "-O2", "-DNDEBUG", "-w", "-S"])
            if problem:
                return None
            codes.append(
                hashlib.sha1(
                    re.sub(r"^\s*\.(file|ident).*$", "", target.read_text(),
                           flags=re.M).encode()).hexdigest())
            if self.plain and codes != self.plain[:len(codes)]:
                break
        return codes

    # -- Tests -------------------------------------------------------------------------------------

    def ask_tests(self, chosen):
        """The contract tests and the property tests of the core: once with all mutants that can
        share an executable, then with each that cannot."""
        overlay = self.directory / "overlay"
        tests = Tests(self.tree, self.builder, self.directory / "tests", self.arguments.jobs)
        together = self.without_stillborn(chosen, lambda: tests.compile(overlay)[0])
        tests.link()
        self.red = tests.check()
        for line in self.red:
            self.log(f"RED on the sources as they are, and so no judge: {line}")
        self.log(f"the tests are compiled with {len(together)} mutants")

        def one(mutant, number):
            kill, unsteady = tests.judge(mutant, number)
            if unsteady:
                self.unsteady[mutant.name] = unsteady
            if kill:
                self.keep(mutant, kill, kill["suite"].split(":")[0])
            else:
                self.result(mutant, verdict="survived")

        self.in_turn("the tests", lambda mutant: one(mutant, mutant.number), together, AT_ONCE)
        for mutant in chosen:
            if operators.is_selectable(mutant, self.sources):
                continue
            write_single(overlay, self.texts, mutant)
            errors, compiles = tests.compile(overlay, mutant)
            if not errors:
                tests.link()
                one(mutant, 0)
            elif compiles:
                # A mutant may change what a header promises.
                self.keep(mutant, {
                    "suite": "contract:compilation", "outcome": "failed", "replay": "", "message":
                        "the tests do not compile", "output": errors[:2000]}, "contract")
            else:
                self.stillborn(mutant, errors)

    # -- The analysis of locks ---------------------------------------------------------------------

    def analysis(self, survivors):
        """clang's thread-safety analysis, as tests/check_thread_safety.sh has it: what it refuses
        does not get into the tree."""
        if not shutil.which("clang++"):
            self.log("clang++ is missing: its analysis judges nothing")
            return

        def refused(folder):
            return run([
                "clang++", "-std=c++20", "-fsyntax-only", "-Wthread-safety",
                "-Werror=thread-safety", "-I",
                str(folder / "include"), "-I", "include", "src/background_worker.cpp"
            ], cwd=self.tree.directory, timeout=120)

        status, output = refused(self.directory / "none")
        if status != 0:
            self.log(
                f"the analysis refuses the sources as they are, and so is no judge: "
                f"{last_line(output)}")
            return

        def judge(mutant):
            folder = self.directory / f"analysis-{mutant.number}"
            write_single(folder, self.texts, mutant)
            status, output = refused(folder)
            shutil.rmtree(folder)
            if status not in (0, None):
                self.keep(
                    mutant, {
                        "suite": "analysis:thread_safety", "outcome": "refused", "message": next(
                            (line for line in output.splitlines() if "error" in line), "")[:300],
                        "output": output[:4000], "replay": ""
                    }, "analysis")

        in_parallel(self.arguments.jobs, judge,
                    [m for m in survivors if m.file.startswith("include/")])

    # -- All of it ---------------------------------------------------------------------------------

    def survivors(self, chosen):
        return [m for m in chosen if self.results.get(m.name, {}).get("verdict") == "survived"]

    def run(self, chosen):
        log, arguments = self.log, self.arguments
        kept = self.load() if arguments.resume else {}
        for mutant in chosen:
            if mutant.name in kept:
                self.results[mutant.name] = kept[mutant.name]
                self.kills[kept[mutant.name].get("suite")] += 1
        new = [mutant for mutant in chosen if mutant.name not in self.results]
        if not arguments.no_tests and new:
            log(f"{len(chosen)} mutants; compiling the tests with {len(new)} of them")
            self.ask_tests(new)
            self.save()
        left = [
            m for m in chosen if self.results.get(m.name, {"verdict": "survived"})["verdict"] ==
            "survived"
        ]
        log(f"{len(left)} live; compiling the suites with them")
        self.build(left)
        log(f"compiled; {sum(r['verdict'] == 'stillborn' for r in self.results.values())} are "
            f"stillborn")
        self.baseline()
        waiting = [m for m in self.together if not self.results.get(m.name, {}).get("quick")]
        self.in_turn("the quick suites", self.quick, waiting)
        selectable = {mutant.name for mutant in self.selectable()}
        for mutant in left:
            if mutant.name not in selectable and not self.results.get(mutant.name, {}).get("quick"):
                self.alone(mutant)
        self.save()
        living = [
            m for m in self.survivors(chosen)
            if not self.results[m.name].get("compiled") and m.name not in self.declared
        ]
        if not arguments.no_tests:
            log(f"{len(living)} live undeclared; the analysis of locks")
            self.analysis(living)
            self.save()
        living = [m for m in living if self.results[m.name]["verdict"] == "survived"]
        if self.share.is_limited() and not self.share.holds(ASKED_SECONDS *
                                                            (1 + len(living)) / arguments.jobs):
            log(f"{len(living)} live; no time is left to ask the compiler about them")
            living = []
        log(f"{len(living)} live; asking the compiler which of them make no difference")
        self.plain = None
        self.plain = self.same_code(None, "same") if living else None
        counter = itertools.count(1)

        def same(mutant):
            code = self.same_code(mutant, f"same-{next(counter)}")
            if code and code == self.plain[:len(code)]:
                self.result(mutant, verdict="equivalent", by="compiler",
                            argument="an optimizing compiler makes the same code")
            else:
                self.results[mutant.name]["compiled"] = True

        in_parallel(arguments.jobs, same, living)
        for folder in self.directory.glob("same*"):
            shutil.rmtree(folder, ignore_errors=True)
        self.save()
        living = [m for m in self.survivors(self.together) if not self.results[m.name].get("deep")]
        if not arguments.no_deep and living:
            log(f"{len(living)} live; compiling the suites with these, optimized, for the long "
                f"searches")
            write_overlay(self.directory / "overlay", self.texts, self.sources, living)
            path, errors = self.builder.executable("deep", self.directory / "overlay", "-O2")
            if not path:
                raise Failed(f"the suites do not compile with what lives:\n{errors[:4000]}")
            self.suites = Suites(path, self.directory)
            self.in_turn("every suite, without shortcuts", self.deep, living)
        self.declare()
        self.save()

    def in_turn(self, what, function, mutants, at_once=1):
        self.log(f"{len(mutants)} mutants against {what}")
        done, left_out = [0, time.monotonic()], []

        def one(mutant):
            if done[0] >= LEAST_TRIED and self.share.left() <= 0:
                left_out.append(mutant)
                return
            function(mutant)
            done[0] += 1
            if time.monotonic() - done[1] > 30:
                done[1] = time.monotonic()
                verdicts = collections.Counter(r["verdict"] for r in self.results.values())
                self.log(f"  {done[0]} of {len(mutants)}; so far " +
                         ", ".join(f"{n} {v}" for v, n in sorted(verdicts.items())))
                self.save()

        in_parallel(self.arguments.jobs * at_once, one, mutants)
        if left_out:
            self.log(f"{len(left_out)} of {len(mutants)} were not tried for want of time")

    def declare(self):
        """Applies equivalents.txt to what survived. An equivalent needs clean searches, too: those
        of the suites that end."""
        self.problems = [f"stale patch: {complaint}" for complaint in self.stale]
        self.problems += [f"{complaint}: {name}" for name, complaint in self.unsteady.items()
                          if self.results[name]["verdict"] != "killed"]
        names = {mutant.name for mutant in self.mutants}
        for name, argument in self.declared.items():
            result = self.results.get(name)
            if name not in names:
                self.problems.append(f"declared equivalent, but there is no such mutant: {name}")
            elif result and result["verdict"] == "killed":
                self.problems.append(
                    f"declared equivalent, but {result['suite']} notices it: {name}")
            elif result and result["verdict"] == "survived" and not result.get("finished"):
                self.problems.append(
                    f"declared equivalent, but no search without a bound was clean: {name}")
            elif result and result["verdict"] == "survived":
                result.update(verdict="equivalent", by="argument", argument=argument)

    def digest(self):
        """Of what a survival depends on. (A kill is taken to last while --resume is given.)"""
        state = hashlib.sha1()
        for folder in ("include", "src", "model", "tests", "proptests", "protocol"):
            for path in sorted((self.tree.directory / folder).rglob("*")):
                if path.is_file():
                    state.update(path.read_bytes())
        return state.hexdigest()

    def load(self):
        try:
            stored = json.loads((self.directory / "results.json").read_text())
        except (OSError, ValueError):
            return {}
        same = stored["digest"] == self.digest()
        return {
            r["name"]: r for r in stored["list"] if r["verdict"] == "killed" or (
                same and (r["verdict"] == "survived" or r.get("by") == "compiler"))
        }

    def save(self):
        order = {mutant.name: mutant.number for mutant in self.mutants}
        with self.log.lock:
            snapshot = sorted(list(self.results.values()), key=lambda r: order[r["name"]])
            (self.directory / "results.json").write_text(
                json.dumps({"digest": self.state, "list": snapshot}, indent=1))

    def summary(self):
        by = collections.Counter(r["verdict"] for r in self.results.values())
        killers = collections.Counter(
            r["by"] for r in self.results.values() if r["verdict"] == "killed")
        how = collections.Counter(
            r["how"] for r in self.results.values() if r["verdict"] == "killed")
        idle = sorted(name for name in [*self.order, *self.unfinished] if not self.kills[name])
        return {
            "total": by["killed"] + by["equivalent"] + by["survived"], "killed": by["killed"],
            "equivalent": by["equivalent"], "survived": by["survived"],
            "stillborn": by["stillborn"], "equivalent_by": dict(
                collections.Counter(r["by"] for r in self.results.values()
                                    if r["verdict"] == "equivalent")), "killed_by": dict(killers),
            "killed_how": dict(how), "problems": self.problems, "red_before": self.red,
            "never_first": idle, "list": sorted(self.results.values(), key=lambda r: r["name"])
        }


def matrix(results, texts):
    """For each source line, which suites notice a change to it."""
    lines = [
        "# Kill matrix", "",
        "For each line of the worker the suites that noticed a change to it first, with how many "
        "changes.",
        ""
    ]
    by_line = collections.defaultdict(collections.Counter)
    for result in results:
        key = (result["file"], result["line"])
        if result["verdict"] == "killed":
            by_line[key][result["suite"]] += 1
        elif result["verdict"] in ("survived", "equivalent"):
            by_line[key][f"({result['verdict']})"] += 1
    for (file, line), suites in sorted(by_line.items()):
        source = texts[file].splitlines()[line - 1].strip()
        lines.append(f"{file}:{line}: `{source[:90]}`")
        lines.append("    " +
                     ", ".join(f"{suite} {count}" for suite, count in suites.most_common()))
    return "\n".join(lines) + "\n"


def merge_into_model_json(key, value, directory=ROOT / "build" / "verify"):
    path = directory / "model.json"
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        stored = {}
    stored[key] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stored, indent=1) + "\n")


def same_names():
    """The suites and the core are linked into one program, each object by its file's name."""
    count = collections.Counter(
        path.stem for folder in ("src/core", "model/worker")
        for path in (ROOT / folder).glob("*.cpp"))
    return [
        f"two sources of the suites and the core are called {name}.cpp"
        for name, times in count.items() if times > 1
    ]


def chosen_of(campaign, patterns):
    if not patterns:
        return campaign.mutants
    return [
        m for m in campaign.mutants if any(fnmatch.fnmatchcase(m.name, f"*{p}*") for p in patterns)
    ]


def main(arguments):
    log = Log()
    if arguments.list:
        _, _, mutants, stale = make_mutants(Tree(arguments.build / "tree"))
        for mutant in mutants:
            print(f"{mutant.file}:{mutant.line}: {mutant.name}")
        names = {mutant.name for mutant in mutants}
        stale += [
            f"declared equivalent, but there is no such mutant: {name}"
            for name in declarations((HERE / "equivalents.txt").read_text()) if name not in names
        ]
        drawn = [
            line for line in DRAW.read_text().splitlines() if line and not line.startswith("#")
        ]
        stale += same_names()
        stale += [
            f"drawn for the generated programs, but there is no such mutant: {name}"
            for name in drawn if name not in names
        ]
        for complaint in stale:
            print(f"STALE {complaint}")
        return 1 if stale else 0
    if arguments.self_test:
        return self_test(arguments, log)
    campaign = Campaign(arguments, log)
    chosen = chosen_of(campaign, arguments.only)
    if not chosen:
        print("no mutant matches", file=sys.stderr)
        return 2
    not_built = {path.name for path in campaign.tree.scenarios()} - campaign.tree.listed()
    try:
        campaign.run(chosen)
    except Failed as failure:
        print(failure, file=sys.stderr)
        merge_into_model_json("mutants", {"ran": False, "why": str(failure)[:500]},
                              arguments.build.parent)
        return 1
    result = campaign.summary()
    for file in sorted(not_built):
        result["problems"].append(f"model/worker/{file} is not built by CMake")
    (arguments.build / "matrix.md").write_text(matrix(result["list"], campaign.texts))
    if not arguments.only:
        merge_into_model_json(
            "mutants", {"ran": True, "seconds": round(time.monotonic() - log.started), **result},
            arguments.build.parent)
    for entry in result["list"]:
        if entry["verdict"] == "survived":
            print(f"SURVIVED {entry['file']}:{entry['line']}: {entry['name']}")
    for problem in result["problems"]:
        print(f"PROBLEM {problem}")
    if result["never_first"] and not arguments.only:
        print("suites that noticed no mutant before another did: " +
              " ".join(result["never_first"]))
    log(f"mutants: {result['total']} ({result['stillborn']} more did not compile): "
        f"{result['killed']} killed {result['killed_by']}, {result['equivalent']} equivalent "
        f"{result['equivalent_by']}, {result['survived']} survived")
    green = result["survived"] == 0 and not result["problems"] and not result["red_before"]
    return 0 if green else 1


def patch_of(name, before, after, file="include/kstone/detail/shell/working.h"):
    text = (ROOT / file).read_text()
    lines = difflib.unified_diff(text.splitlines(),
                                 text.replace(before, after, 1).splitlines(), f"a/{file}",
                                 f"b/{file}", lineterm="")
    return "\n".join([name, "", *lines, ""])


def unread(*headers):
    """What is said of headers that enumerations cannot be read from; nothing if they can."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for index, text in enumerate(headers):
            (root / f"{index}.h").write_text(text)
        try:
            enumerations.of(root, [f"{index}.h" for index in range(len(headers))])
        except enumerations.Unreadable as failure:
            return str(failure)
    return ""


def self_test(arguments, log):
    """Plants what must make this program say no: a change that changes nothing, a declaration that
    is stale, one that is wrong; a patch that no longer matches; and headers that enumerations
    cannot be read from."""
    lock = "    mutex_.unlock();\n    inbox_.sleep();\n    mutex_.lock();\n"
    nothing = "    mutex_.unlock();\n    (inbox_.sleep)();\n    mutex_.lock();\n"
    broken = "    mutex_.unlock();\n    mutex_.lock();\n    return;\n"
    patches = [patch_of("a change that changes nothing", lock, nothing),
               patch_of("a change that must be noticed", lock, broken)]
    arguments.no_tests = arguments.no_deep = True
    arguments.seconds = 1
    campaign = Campaign(arguments, log, patches)
    chosen = [m for m in campaign.mutants if "a change that" in m.name]
    campaign.save = lambda: None
    campaign.build(chosen)
    campaign.baseline()
    for mutant in chosen:
        campaign.quick(mutant)
    problems = []
    verdicts = {
        name.removeprefix("by hand: "): result["verdict"]
        for name, result in campaign.results.items()
    }
    if verdicts != {
            "a change that changes nothing": "survived", "a change that must be noticed": "killed"
    }:
        problems.append(f"verdicts: {verdicts}")
    campaign.declared = declarations(
        "No reason.\n    by hand: a change that must be noticed\n    by hand: a change nobody "
        "made\n")
    campaign.declare()
    if len(campaign.problems) != 2 + len(campaign.stale):
        problems.append(f"declarations: {campaign.problems}")
    if not operators.handwritten([patch_of("stale", lock, nothing).replace("inbox_", "inbox")],
                                 campaign.texts)[1]:
        problems.append("a stale patch was not noticed")
    one = "struct One { enum class Kind { a, b }; };"
    two = "struct Two { enum class Kind { b, a }; };"
    other = "struct Other { enum class Kind { c, d }; };"
    for word, headers in (("", [one]), ("", [one, other]),
                          ("two enumerations are called Kind", [one, two]),
                          ("cannot read", ["enum class"])):
        said = unread(*headers)
        if bool(said) != bool(word) or word not in said:
            problems.append(f"of headers {headers}: '{said}' instead of '{word}'")
    for problem in problems:
        print(f"SELF-TEST FAILED: {problem}")
    log("self-test: " + ("failed" if problems else
                         "a survivor, a wrong and a stale declaration, a stale patch, and headers "
                         "that cannot be read are noticed"))
    return 1 if problems else 0
