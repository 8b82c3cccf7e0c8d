"""Compiles the suites against a copy of the sources, mutated or not, and runs one suite at a
time."""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import ending

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CXX = os.environ.get("CXX", "g++")
MODEL_FLAGS = ["-std=c++20", "-fno-sized-deallocation", "-fno-lifetime-dse", "-w"]
MEMORY_KB = 4_000_000


def listed(folder, target, root=ROOT):
    """The C++ sources that the CMakeLists.txt of a folder lists for a target or in a variable,
    without the ending .cpp."""
    words = re.search(rf"^\w+\(\s*{target}\s([^)]*)\)",
                      (root / folder / "CMakeLists.txt").read_text(), re.M)[1].split()
    return [
        word.removeprefix("${CMAKE_CURRENT_SOURCE_DIR}/").removesuffix(".cpp")
        for word in words if word.endswith(".cpp")
    ]


# The library without its adapters.
SOURCES = listed("src", "kstone_sources")
# What the worker is made of: all that lies below detail/, the forwarding class, what a job and a
# pause are given, and the core. The others hold values, counters for statistics, and the policy for
# real threads.
CORE = [name for name in SOURCES if name.startswith("core/")]
REST = [name for name in SOURCES if name not in CORE]
MUTATED = sorted([
    *(str(path.relative_to(ROOT))
      for path in (ROOT / "include" / "kstone" / "detail").rglob("*.h")),
    "include/kstone/background_worker_impl.h", "include/kstone/compaction_context.h",
    "include/kstone/pause_guard.h", *(f"src/{name}.cpp" for name in CORE)
])


class Failed(Exception):
    pass


def processor_time(process):
    """In ticks; of a process that lives, or has not been waited for."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def ends(process, idle):
    """The status of the process, which is waited for; but not once it has taken no processor for
    `idle` seconds."""
    used, since = -1, time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.25)
        now = processor_time(process)
        if now != used:
            used, since = now, time.monotonic()
        elif time.monotonic() - since > idle:
            raise subprocess.TimeoutExpired(process.args, idle)


def run(command, cwd=None, env=None, timeout=None, idle=None):
    """(status, output); status None after the time limit, or after so many seconds in which the
    process took no processor. The whole process group is ended then."""
    with tempfile.TemporaryFile() as output:
        process = ending.start(command, cwd=cwd, env=env, stdout=output, stderr=subprocess.STDOUT)
        try:
            status = ends(process, idle) if idle else process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            status = None
        output.seek(0)
        return status, output.read().decode(errors="replace")


@contextlib.contextmanager
def one_at_a_time(lock):
    """Two at once in one folder would break each other's files: the second waits, and says so. As
    scripts/lib/prologue.sh."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            print(
                f"{lock.parent} is in use by another run (process {file.read().strip()}). Waiting "
                f"for its end.",
                flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def in_parallel(jobs, function, items):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(function, items))


def model_sources(root=ROOT):
    """The sources of the model checker."""
    return [f"model/{name}.cpp" for name in listed("model", "kstone_model", root)]


class Tree:
    """A copy of what is compiled, so that a long run does not see the sources change under it."""

    def __init__(self, directory):
        self.directory = directory
        if directory.exists():
            shutil.rmtree(directory)
        for folder in ("include", "src", "model", "proptests", "protocol", "tests"):
            shutil.copytree(ROOT / folder, directory / folder,
                            ignore=shutil.ignore_patterns("rocksdb", "consumer*"))

    def text(self, file):
        return (self.directory / file).read_text()

    def scenarios(self):
        folder = self.directory / "model" / "worker"
        return sorted(path for path in folder.glob("*.cpp") if path.name != "main.cpp")

    def listed(self):
        """The scenario files that CMake builds."""
        return {f"{name}.cpp" for name in listed("model/worker", "model_worker", self.directory)}


class Builder:
    def __init__(self, tree, directory, jobs):
        self.tree, self.directory, self.jobs = tree, directory, jobs
        # Objects of sources as they are, which need not be compiled here.
        self.built = {}
        directory.mkdir(parents=True, exist_ok=True)

    def compile(self, source, target, includes=(), flags=()):
        """The compiler's errors, or nothing. Files are named as in the project, wherever they
        lie."""
        command = [
            CXX, *flags, *(f"-I{folder}" for folder in includes), "-c",
            str(source), "-o",
            str(target)
        ]
        status, output = run(command, cwd=self.tree.directory)
        return "" if status == 0 else output or "the compiler was killed"

    def model_objects(self):
        """The explorer does not depend on what is mutated: compiled once."""
        folder = self.directory / "model"
        folder.mkdir(exist_ok=True)

        objects = {
            source: folder / (source.replace("/", "_") + ".o")
            for source in model_sources(self.tree.directory)
        }

        def one(source):
            return self.compile(source, objects[source], ["model"], [*MODEL_FLAGS, "-O2"])

        errors = in_parallel(self.jobs, one, objects)
        if any(errors):
            raise Failed("the model checker does not compile:\n" + "\n".join(errors)[:4000])
        return list(objects.values())

    def executable(self, name, overlay=None, level="-O1", files=None, sources=None, libraries=(),
                   options=()):
        """The suites of model/worker, or of some files of it, or a program of `sources` of its own,
        against the worker's sources, those in `overlay` first. (path, errors)"""
        folder = self.directory / name
        folder.mkdir(exist_ok=True)
        scenarios = [
            str(path.relative_to(self.tree.directory)) for path in files or self.tree.scenarios()
        ]
        sources = [
            *(sources or ["model/worker/main.cpp", *scenarios]),
            *(f"src/{name}.cpp" for name in CORE)
        ]
        includes = [overlay / "include"] if overlay else []
        includes += ["include", "model", "model/worker"]
        flags = [*MODEL_FLAGS, level, *options]
        if overlay and (overlay / "selector.h").exists():
            flags += ["-Wno-narrowing", "-include", str(overlay / "selector.h")]

        def one(source):
            path = overlay / source if overlay and (overlay / source).exists() else source
            return self.compile(path, folder / (pathlib.Path(source).stem + ".o"), includes, flags)

        errors = "\n".join(
            filter(
                None,
                in_parallel(self.jobs, one,
                            [source for source in sources if source not in self.built])))
        if errors:
            return None, errors
        objects = [
            self.built.get(source, folder / (pathlib.Path(source).stem + ".o"))
            for source in sources
        ]
        # Behind the others: the inline functions that it brings along are those of the sources as
        # they are.
        rest = self.rest_objects()
        path = folder / "suites"
        status, output = run([
            CXX, "-o",
            str(path), *map(str, objects), *map(str, self.objects), *map(str, rest), *libraries,
            "-pthread"
        ])
        return (path, "") if status == 0 else (None, output)

    def rest_objects(self):
        """Of what no mutant changes: compiled once."""
        folder = self.directory / "rest"
        sources = {f"src/{name}.cpp": folder / f"{name}.o" for name in REST}
        if not folder.exists():
            folder.mkdir()
            for source in sources.keys() - self.built.keys():
                problem = self.compile(source, sources[source], ["include"], [*MODEL_FLAGS, "-O1"])
                if problem:
                    raise Failed(problem)
        return [self.built.get(source, path) for source, path in sources.items()]


class Suites:
    """An executable of suites."""

    def __init__(self, path, directory):
        self.path, self.directory = path, directory

    def list(self):
        """What is known of each suite without running it."""
        with tempfile.NamedTemporaryFile(suffix=".json", dir=self.directory) as file:
            status, output = run([str(self.path), "--list", "--json", file.name], timeout=60)
            if status != 0:
                raise Failed(f"{self.path.name} --list fails:\n{output[:2000]}")
            return json.loads(pathlib.Path(file.name).read_text())["scenarios"]

    def names(self):
        """(name, property, must fail)"""
        return [(entry["name"], entry["property"], entry["must_fail"]) for entry in self.list()]

    def run(self, suite, seconds, options=(), mutant=0, minimize=False):
        """What one suite says; `outcome` is one of green, refuted, vacuous, unfinished, red, crash,
        hang. `output`: where it could say nothing itself."""
        handle, name = tempfile.mkstemp(suffix=".json", dir=self.directory)
        os.close(handle)
        env = dict(os.environ, KSTONE_MUTANT=str(mutant))
        # A mutant may loop and allocate: without a limit it would take the machine along.
        # --step-seconds 0: a mutant that loops is a hang, whatever the model says of it.
        command = [
            "sh", "-c", f'ulimit -v {MEMORY_KB}; exec "$@"', "suites",
            str(self.path), suite, "--json", name, "--max-seconds",
            str(seconds), "--step-seconds", "0", "--quiet", *options
        ]
        if "--jobs" not in options:  # several suites at once share the processors
            command += ["--jobs", "1"]
        if not minimize:
            command.append("--no-minimize")
        started = time.monotonic()
        status, output = run(command, env=env, timeout=seconds * 2 + 20 + (60 if minimize else 0))
        result = {
            "suite": suite, "seconds": round(time.monotonic() - started, 2), "message": "",
            "output": "", "replay": ""
        }
        try:
            entry = json.loads(pathlib.Path(name).read_text())["scenarios"][0]
        except (ValueError, KeyError, IndexError):
            entry = None
        os.unlink(name)
        if status is None:
            result.update(outcome="hang", message="no step of the model within the time limit",
                          output=output[-2000:])
        elif entry is None:
            result.update(outcome="crash", message=last_line(output) or f"status {status}",
                          output=output[-4000:])
        else:
            result["entry"] = entry
            result["message"] = entry["message"] or entry["why"]
            result["failure"] = entry["failure"]
            result["replay"] = entry["replay"]
            if entry["green"]:
                result["outcome"] = "green"
            elif entry["verdict"] == "refuted":
                result["outcome"] = "refuted"
            elif entry["verdict"] == "proved":
                result["outcome"] = "vacuous"
            else:
                result["outcome"] = "unfinished" if is_cut(entry) else "error"
                result["message"] = entry["reason"]
            if entry["must_fail"] and result["outcome"] == "refuted":
                result["outcome"] = "red"  # refuted in another way than expected
        return result


def is_cut(row):
    """Whether a suite is unknown since its search was cut short, or is at random; anything else
    says that the scenario or the checker is at fault."""
    return row["verdict"] == "unknown" and row.get("failure") == "none" and row["reason"] in (
        "the budget is used up", "a random search proves nothing")


def last_line(text):
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
