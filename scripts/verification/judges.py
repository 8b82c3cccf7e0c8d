"""The contract tests, and the property tests of the core, as judges of mutants.

They see the worker as its users do, with real threads, and need a second for a mutant where the
suites of the model need many: they come first, and the suites are compiled with what they leave."""

import os
import pathlib
import re

from build import MEMORY_KB, ROOT, SOURCES, Failed, in_parallel, last_line, run

# A program that hangs takes no processor: so many at once for each job.
AT_ONCE = 3
# Of a program that needs a second on the sources as they are. It hangs if it was given no moment of
# a processor for so long, however busy the machine is; or if it has used so much.
IDLE_SECONDS, BUSY_SECONDS = 4, 10


class Program:
    """A program of tests, compiled against mutants."""

    def __init__(self, kind, sources, libraries, options, environment):
        self.kind, self.sources, self.libraries = kind, sources, libraries
        self.options, self.environment = options, environment

    def run(self, path, mutant, only=None):
        """(status, output, the test that failed or was under way)"""
        chosen = [f"--gtest_filter={only}"] if only else self.options
        status, output = run([
            "sh", "-c", f'ulimit -v {MEMORY_KB}; ulimit -t {BUSY_SECONDS}; exec "$@"', "tests",
            str(path), "--gtest_fail_fast", *chosen
        ], env=dict(os.environ, KSTONE_MUTANT=str(mutant), **self.environment), idle=IDLE_SECONDS)
        failed = re.search(r"\[  FAILED  \] (\S+)", output)
        begun = re.findall(r"\[ RUN      \] (\S+)", output)
        return status, output, failed[1] if failed else begun[-1] if begun else None


class Tests:
    def __init__(self, tree, builder, directory, jobs):
        self.tree, self.builder, self.directory, self.jobs = tree, builder, directory, jobs
        directory.mkdir(exist_ok=True)
        tests = sorted(path.name for path in (tree.directory / "tests").glob("*_test.cpp"))
        # What is planted for the property tests themselves is no judge of the worker.
        self.programs = [
            Program("properties", ["proptests/core_properties.cpp"], ["-lrapidcheck", "-lgtest"],
                    ["--gtest_filter=-*PlantedFault*"],
                    {"RC_PARAMS": "seed=20260101 max_success=500 max_size=60 noshrink=1"}),
            Program("contract", [f"tests/{name}" for name in tests], ["-lgtest", "-lgtest_main"],
                    [], {})
        ]
        self.library = [f"src/{name}.cpp" for name in SOURCES]
        self.wrong = {}

    def compile(self, overlay, mutant=None):
        """(errors, whether the library compiles). All mutants of an overlay; or, then, one that
        cannot share an executable: only what its files are part of is compiled anew."""
        folder = self.directory / ("alone" if mutant else "together")
        folder.mkdir(exist_ok=True)
        flags = [
            "-std=c++20", "-O0", "-w", "-D_GLIBCXX_ASSERTIONS",
            f'-DKSTONE_CALLS_PAGE="{ROOT / "docs" / "calls.md"}"'
        ]
        if not mutant:
            flags += ["-Wno-narrowing", "-include", str(overlay / "selector.h")]

        def one(source):
            path = overlay / source if (overlay / source).exists() else source
            target = folder / f"{pathlib.Path(source).stem}.o"
            error = self.builder.compile(path, target,
                                         [overlay / "include", "include", "tests", "proptests"],
                                         [*flags, "-MMD"])
            self.objects[source] = target
            return error

        everything = self.library + [s for program in self.programs for s in program.sources]
        if not mutant:
            self.objects, self.shared = {}, {}
        else:
            self.objects = dict(self.shared)
            everything = [s for s in everything if self.depends(s, mutant)]
        for part in (self.library, set(everything) - set(self.library)):
            errors = in_parallel(self.jobs, one, [s for s in everything if s in part])
            if any(errors):
                return next(filter(None, errors)), part is not self.library
        if not mutant:
            self.shared = dict(self.objects)
        return "", True

    def depends(self, source, mutant):
        files = {edit[0] for edit in mutant.edits}
        parts = self.shared[source].with_suffix(".d").read_text().split()
        return source in files or any(part.endswith(file) for part in parts for file in files)

    def link(self):
        """The programs, with their paths."""
        self.ready = []
        for program in self.programs:
            path = self.directory / program.kind
            objects = [str(self.objects[source]) for source in program.sources + self.library]
            status, output = run(
                ["g++", "-o", str(path), *objects, *program.libraries, "-pthread"])
            if status != 0:
                raise Failed(f"the {program.kind} tests do not link:\n{output[-1500:]}")
            if program.kind not in self.wrong:
                self.ready.append((program, path))

    def check(self):
        """What fails on the sources as they are; it judges nothing then."""
        for program, path in list(self.ready):
            status, output, failed = program.run(path, 0)
            if status != 0:
                self.wrong[program.kind] = (f"the {program.kind} tests: {failed}: "
                                            f"{last_line(output)}")
                self.ready.remove((program, path))
        return list(self.wrong.values())

    def judge(self, mutant, number):
        """(the kill or nothing, what fails in one of two runs or nothing)"""
        for program, path in self.ready:
            if program.kind == "properties" and "/core/" not in mutant.file:
                continue
            status, output, failed = program.run(path, number)
            if status == 0:
                continue
            # Real threads: what fails once and not again may be the test's own race. Where nobody
            # else notices the mutant either, that is to be explained.
            if program.kind == "contract":
                status, again, _ = program.run(path, number, only=failed)
                if status == 0:
                    return None, f"{failed or 'a contract test'} fails in one of two runs"
                output = again
            return {
                "suite": f"{program.kind}:{failed or 'program'}", "outcome":
                    "hang" if status is None else "failed" if status == 1 else "crash", "message":
                        "does not end" if status is None else last_line(output), "replay": "",
                "output": output[-4000:]
            }, None
        return None, None
