"""scripts/verify stress: the worker on real threads under sanitizers, as it is and recorded;
records are replayed."""

import collections
import fcntl
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import time

from build import CXX, ROOT, SOURCES, in_parallel, listed, run
from mutation import Log
from pace import Share

CLANG = "clang++-19"
FLAGS = ["-std=c++20", "-O1", "-g", "-fno-omit-frame-pointer", "-w"]
ADDRESS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
THREAD = ["-fsanitize=thread"]
STRESS = [
    *(f"tsan/{name}.cpp" for name in listed("tsan", "kstone_tsan_stress")),
    *(f"src/{name}.cpp" for name in SOURCES)
]
SOAK = [
    "tsan/soak.cpp",
    *(f"tools/kstone-compact/{name}.cpp" for name in ("demo_database", "ledger", "verifier")),
    *(f"src/rocksdb/{name}.cpp"
      for name in ("column_family_compactor", "database_listener", "leveled_picker")),
    *(f"src/{name}.cpp" for name in SOURCES)
]
# Of a recorder's word: 16 bytes, changed at once.
WIDE = {CXX: [], CLANG: ["-mcx16"]}

Build = collections.namedtuple("Build", "compiler flags sources libraries")
BUILDS = {
    "g++-tsan": Build(CXX, THREAD, STRESS, ["-latomic"]),
    "clang-19-tsan": Build(CLANG, THREAD, STRESS, ["-latomic"]),
    "g++-asan-ubsan": Build(CXX, ADDRESS, STRESS, ["-latomic"]),
    "g++-tsan-rocksdb": Build(CXX, THREAD, SOAK, ["-lrocksdb"]),
}

# Those of a quick run, and how long each takes to compile (pace.py): the first one always, the
# second if there is time.
QUICK_BUILDS = {"g++-tsan": 22, "g++-asan-ubsan": 35}
LEFT_OUT = "left out of a quick run"
NO_TIME = LEFT_OUT + " for want of time"

# Name, build, share of the time, arguments.
RUNS = [
    ("g++ TSan", "g++-tsan", 4, []),
    ("g++ TSan, recorded", "g++-tsan", 5, ["--recorded"]),
    ("clang 19 TSan", "clang-19-tsan", 2, []),
    ("clang 19 TSan, recorded", "clang-19-tsan", 3, ["--recorded"]),
    ("g++ ASan and UBSan", "g++-asan-ubsan", 2, ["--threads-stay"]),
    ("g++ ASan and UBSan, recorded", "g++-asan-ubsan", 3, ["--recorded", "--threads-stay"]),
    # RocksDB itself is not instrumented: TSan knows its mutexes, not its atomics. Nothing had to be
    # suppressed so far.
    ("RocksDB, g++ TSan", "g++-tsan-rocksdb", 3, []),
]
# What must be noticed, in which build, and how that shows.
RACE, ILLEGAL = "WARNING: ThreadSanitizer: data race", "ILLEGAL in round"
FREED = "ERROR: AddressSanitizer: heap-use-after-free"
OVERFLOW = "runtime error: signed integer overflow"
FAULTS = [("mutex_without_order", "g++-tsan", RACE),
          ("request_without_publication", "g++-tsan", RACE),
          ("mutex_without_order", "clang-19-tsan", RACE),
          ("request_without_publication", "clang-19-tsan", RACE),
          ("counts_in_freed_memory", "g++-asan-ubsan", FREED),
          ("counts_too_far", "g++-asan-ubsan", OVERFLOW),
          ("forgets_what_it_closes", "g++-tsan", ILLEGAL), ("loses_claims", "g++-tsan", ILLEGAL),
          ("times_out_early", "g++-tsan", ILLEGAL), ("wakes_without_token", "g++-tsan", ILLEGAL),
          ("withdrawal_without_release", "g++-tsan", RACE), ("frees_too_early", "g++-tsan", RACE),
          ("allows_one_more", "g++-tsan", ILLEGAL), ("pauses_another", "g++-tsan", ILLEGAL),
          ("forgets_what_it_cancels", "g++-tsan", ILLEGAL),
          ("accepts_what_is_removed", "g++-tsan", ILLEGAL)]
# A whole run replays at least so many transitions; it is red with fewer.
LEAST_REPLAYED = 10_000_000
REPORT = re.compile(
    r"^.*(?:WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|runtime error:|ILLEGAL|^(?:stress|soak): "
    r"(?!--seed)).*$",
    re.M)
ENVIRONMENT = {
    "TSAN_OPTIONS": "halt_on_error=1 second_deadlock_stack=1",
    "ASAN_OPTIONS": "detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"
}


def add_arguments(parts):
    parser = parts.add_parser(
        "stress", help="real threads under sanitizers; records replayed",
        description="Builds the stress program with each sanitizer and runs it on the worker as it "
                    "is and on the recording policy, whose records are replayed. Exit status 0 if "
                    "everything ran, no sanitizer reported anything, every transition was legal, "
                    "and every planted fault was noticed.")
    parser.add_argument("--minutes", type=float, default=20,
                        help="of running, split among the variants (20)")
    parser.add_argument("--quick", action="store_true", help="half a minute")
    parser.add_argument("--seed", type=int, help="of every program (a new one for each)")
    parser.add_argument("--jobs", type=int, default=min(2,
                                                        os.cpu_count() or 1),
                        help="compilers at a time")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build" / "verify")
    parser.set_defaults(run=main)


class Programs:
    """The executables of BUILDS; compiled where a source is newer."""

    def __init__(self, arguments, log):
        self.directory, self.jobs, self.log = arguments.output / "stress", arguments.jobs, log
        self.headers = max(path.stat().st_mtime for folder in ("include", "src", "protocol",
                                                               "tests/faults", "tsan", "tools")
                           for path in (ROOT / folder).rglob("*.h"))

    def path(self, name):
        return self.directory / name / "stress"

    def is_there(self, name):
        return self.path(name).exists()

    def build(self, name):
        """The reason why there is none, or nothing."""
        build = BUILDS[name]
        if not shutil.which(build.compiler):
            return f"{build.compiler} is missing"
        folder = self.directory / name
        folder.mkdir(parents=True, exist_ok=True)
        flags = [*FLAGS, *build.flags, *WIDE.get(build.compiler, [])]

        def compiled(source):
            path, target = ROOT / source, folder / (source.replace("/", "_") + ".o")
            if not target.exists() or target.stat().st_mtime < max(path.stat().st_mtime,
                                                                   self.headers):
                status, output = run([
                    build.compiler, *flags, "-Iinclude", "-Itsan", "-Itools/kstone-compact", "-c",
                    source, "-o",
                    str(target)
                ], cwd=ROOT)
                if status != 0:
                    target.unlink(missing_ok=True)
                    return output or "the compiler was killed"
            return ""

        self.log(f"building {name}")
        problems = [
            problem for problem in in_parallel(self.jobs, compiled, build.sources) if problem
        ]
        if not problems:
            objects = [str(folder / (source.replace("/", "_") + ".o")) for source in build.sources]
            status, output = run([
                build.compiler, *build.flags, "-o",
                str(self.path(name)), *objects, *build.libraries, "-pthread"
            ])
            problems = [] if status == 0 else [output]
        return problems[0][:2000] if problems else ""


class Stress:
    def __init__(self, arguments, log):
        self.arguments, self.log = arguments, log
        self.programs = Programs(arguments, log)
        self.missing = {}
        self.share = Share.given()
        self.checks = []
        self.seeds = random.SystemRandom()

    def check(self, name, state, message="", **more):
        self.checks.append(
            {"kind": "stress", "name": name, "state": state, "message": message, **more})
        self.log(f"{name}: {state}{', ' + message if message else ''}")

    def is_missing(self, build, name):
        """Whether there is no such program; then what should have been run with it is said not to
        have been."""
        if self.missing[build]:
            self.check(name, "cut" if self.missing[build].startswith(LEFT_OUT) else "not_run",
                       self.missing[build])
        return bool(self.missing[build])

    def call(self, name, build, options, seconds):
        """Status, output, numbers and what is needed to do it again."""
        seed = self.arguments.seed if self.arguments.seed is not None else self.seeds.randrange(
            1, 1 << 31)
        command = [str(self.programs.path(build)), *options, "--seed", str(seed)]
        began = time.monotonic()
        status, output = run(command, cwd=ROOT, env=dict(os.environ, **ENVIRONMENT),
                             timeout=seconds * 2 + 120)
        (self.programs.directory / (re.sub(r"\W+", "_", name) + ".log")).write_text(output)
        numbers = {
            key: int(value) for key, value in re.findall(
                r'[ "](\w+)(?:=|": )(\d+)',
                output.partition("\ndone:")[2] or output.partition("\n{")[2])
        }
        return status, output, {
            "seconds": round(time.monotonic() - began, 1), "numbers": {**numbers, "seed": seed},
            "replay": shlex.join(command)
        }

    def run(self, name, build, seconds, options):
        if self.is_missing(build, name):
            return
        status, output, more = self.call(name, build,
                                         ["--seconds", str(seconds), *options], seconds)
        report = REPORT.search(output)
        # A record without a transition was never held against anything.
        idle = "--recorded" in options and not more["numbers"].get("transitions_replayed")
        if status == 0 and not report and not idle and len(more["numbers"]) > 1:
            del more["replay"]
            self.check(name, "passed", **more)
        else:
            message = report.group(0).strip() if report else "it did not end" if status is None \
                else "no transition was replayed" if idle else f"status {status}"
            self.check(name, "failed", message, history=output[-20000:], failure="sanitizer",
                       **more)

    def must_fail(self, fault, build, sign):
        name = f"must fail: {fault}, {build}"
        if self.is_missing(build, name):
            return
        options = ["--threads-stay"] if BUILDS[build].flags == ADDRESS else []
        status, output, more = self.call(name, build,
                                         ["--rounds", "300", "--fault", fault, *options], 60)
        noticed = status not in (0, None) and sign in output
        self.check(name, "passed" if noticed else "failed",
                   "" if noticed else f"not noticed (status {status})", must_fail=True,
                   seconds=more["seconds"], numbers={"seed": more["numbers"]["seed"]})

    def tampered(self, rounds):
        name, build = "tampered records", "g++-tsan"
        if self.is_missing(build, name):
            return
        status, output, more = self.call(
            name, build, ["--rounds", str(rounds), "--recorded", "--tamper", "10"], 300)
        more["numbers"] = {
            key: more["numbers"].get(key, 0) for key in ("tampered_and_noticed", "seed")
        }
        noticed = status == 0 and more["numbers"]["tampered_and_noticed"] > 0
        self.check(name, "passed" if noticed else "failed", "" if noticed else
                   (REPORT.findall(output) or [f"status {status}"])[-1], seconds=more["seconds"],
                   numbers=more["numbers"])

    def everything(self):
        if self.arguments.quick:
            self.quickly()
            return
        for name in BUILDS:
            self.missing[name] = self.programs.build(name)
        for fault in FAULTS:
            self.must_fail(*fault)
        self.tampered(100)
        self.run_all(RUNS, self.arguments.minutes * 60)
        whole = self.arguments.minutes >= 20
        if whole and not any(self.missing.values()):
            replayed = self.total("transitions_replayed")
            self.check("transitions replayed in all",
                       "passed" if replayed >= LEAST_REPLAYED else "failed",
                       f"{replayed:,}; at least {LEAST_REPLAYED:,} are due")

    def run_all(self, runs, seconds):
        shares = sum(share for _, _, share, _ in runs)
        for name, build, share, options in runs:
            self.run(name, build, max(1, round(seconds * share / shares)), options)

    def quickly(self):
        """A build after the other with all that is run with it, so that each shows something before
        there is no time left."""
        self.missing = dict.fromkeys(BUILDS, LEFT_OUT)
        for name, seconds in QUICK_BUILDS.items():
            is_first = name == next(iter(QUICK_BUILDS))
            if self.programs.is_there(name) or is_first or self.share.holds(seconds):
                self.missing[name] = self.programs.build(name)
            else:
                self.missing[name] = NO_TIME
            for fault in FAULTS:
                if fault[1] == name:
                    self.must_fail(*fault)
            if name == "g++-tsan":
                self.tampered(20)
            self.run_all([run for run in RUNS if run[1] == name],
                         min(16, max(4,
                                     self.share.left() / 3)))
        for fault in FAULTS:
            if fault[1] not in QUICK_BUILDS:
                self.must_fail(*fault)
        self.run_all([run for run in RUNS if run[1] not in QUICK_BUILDS], 0)

    def total(self, key):
        return sum(check.get("numbers", {}).get(key, 0) for check in self.checks)

    def summary(self):
        total = self.total
        return {
            "ran": True, "stress_seconds": round(
                sum(c.get("seconds", 0) for c in self.checks if not c.get("must_fail")),
                1), "transitions_replayed": total("transitions_replayed"),
            "transitions_illegal": total("transitions_illegal"),
            "tampered_and_noticed": total("tampered_and_noticed"), "requests": total("requests"),
            "rounds": total("rounds"), "compactions": total("compactions"),
            "seeds": {c["name"]: c["numbers"]["seed"] for c in self.checks if "numbers" in c},
            "reports": [{"name": c["name"], "message": c["message"], "replay": c.get("replay", "")}
                        for c in self.checks if c["state"] == "failed"
                        ], "not_run": [c["name"] for c in self.checks if c["state"] == "not_run"],
            "checks": self.checks,
        }


def merge(path, key, value):
    """Sets one key of a JSON file that others write to as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        try:
            stored = json.load(file)
        except ValueError:
            stored = {}
        stored[key] = value
        file.seek(0)
        file.truncate()
        file.write(json.dumps(stored, indent=1) + "\n")


# Beside those of the property tests in props.json.
TOTALS = ["stress_seconds", "transitions_replayed", "transitions_illegal"]


def main(arguments):
    log = Log()
    arguments.output.mkdir(parents=True, exist_ok=True)
    stress = Stress(arguments, log)
    stress.everything()
    result = stress.summary()
    (arguments.output / "stress.json").write_text(json.dumps(result, indent=1) + "\n")
    merge(arguments.output / "props.json", "stress",
          {key: value for key, value in result.items() if key != "checks"})
    for key in TOTALS:
        merge(arguments.output / "props.json", key, result[key])
    log(f"stress: {result['stress_seconds']} s, {result['rounds']:,} rounds, "
        f"{result['requests']:,} requests; {result['transitions_replayed']:,} transitions "
        f"replayed, {result['transitions_illegal']} illegal; {result['tampered_and_noticed']} "
        f"tampered records noticed; {len(result['reports'])} failed, {len(result['not_run'])} not "
        f"run")
    return 0 if all(check["state"] == "passed" or check["message"].startswith(LEFT_OUT)
                    for check in stress.checks) else 1
