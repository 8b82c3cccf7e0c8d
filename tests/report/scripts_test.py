"""The scripts, in a copy whose cmake, ctest and packages are stand-ins: nothing is built, installed or downloaded."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What a script builds with is noted in `calls`; what it would build is there already, and says how it was called.
STAND_INS = {
    "cmake": '#!/bin/sh\necho "cmake $*" >>"$CALLS"\ntest ! -e "$CALLS.broken" || { echo "main.cpp:1: error: broken"; exit 1; }\n',
    "dpkg-query": '#!/bin/sh\nprintf installed\n',
    "apt-get": '#!/bin/sh\necho "apt-get $*" >>"$CALLS"\n',
    "ctest": '#!/bin/sh\ncase $1 in --help) exec "$CTEST" --help;; esac\necho "ctest $*"\n',
}
PROGRAMS = {"build/run/tools/kstone-compact/kstone-compact", "build/soak/tsan/kstone_soak"}
SCRIPTS = ["bench", "ci", "run", "soak", "test", "verify"]


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name).resolve()
        self.checkout, self.elsewhere, self.calls = self.home / "check out", self.home / "elsewhere", self.home / "calls"
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        (self.elsewhere / "scripts").mkdir(parents=True)
        self.calls.touch()
        tools = self.home / "tools"
        tools.mkdir()
        for name, text in STAND_INS.items():
            self.program(tools / name, text)
        for path in PROGRAMS:
            self.program(self.checkout / path, '#!/bin/sh\necho "in $PWD: $*"\n')
        self.environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "CALLS": str(self.calls),
                            "CTEST": shutil.which("ctest")}

    def program(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def start(self, script, *arguments, path=None, **environment):
        return subprocess.Popen([path or self.checkout / "scripts" / script, *arguments], cwd=self.elsewhere, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**self.environment, **environment})

    def call(self, *arguments, **options):
        process = self.start(*arguments, **options)
        out, err = process.communicate()
        return process.returncode, out, err

    def test_help_tells_what_it_does_and_does_nothing(self):
        for script in SCRIPTS:
            for arguments in (["--help"], ["--no-install", "--help"]):
                status, out, err = self.call(script, *arguments)
                self.assertEqual((status, err), (0, ""), script)
                self.assertIn(f"scripts/{script} [--no-install]", out)
        self.assertEqual(self.calls.read_text(), "")
        self.assertFalse((self.checkout / "build" / "test").exists())

    def test_no_install_may_stand_anywhere_and_is_passed_to_nobody(self):
        for arguments in (["--no-install", "--stripes", "20"], ["--stripes", "20", "--no-install"]):
            status, out, err = self.call("run", *arguments)
            self.assertEqual((status, err), (0, ""))
            self.assertTrue(out.endswith("summary.json --stripes 20\n"), out)
        self.assertIn("--seconds 180 ", self.call("soak", "--seed", "7", "--no-install", "3")[1])

    def test_the_program_runs_in_the_folder_of_the_caller(self):
        self.assertIn(f"in {self.elsewhere}: demo --summary {self.checkout}/build/run/summary.json\n", self.call("run")[1])
        self.assertIn(f"in {self.elsewhere}: demo --summary s.json\n", self.call("run", "--summary", "s.json")[1])
        self.assertIn(f"in {self.elsewhere}: demo --summary=s.json\n", self.call("run", "--summary=s.json")[1])
        self.assertIn(f"in {self.elsewhere}: --seconds 600 --summary s.json\n", self.call("soak", "--summary", "s.json")[1])

    def test_through_a_symbolic_link_and_with_cdpath(self):
        (self.elsewhere / "link").symlink_to(self.checkout / "scripts" / "run")
        for options in ({"path": self.elsewhere / "link"}, {"CDPATH": str(self.elsewhere)}):
            status, out, err = self.call("run", **options)
            self.assertEqual((status, err), (0, ""))
            self.assertIn(f"--summary {self.checkout}/build/run/summary.json", out)

    def test_unknown_arguments_are_named_before_anything_is_built(self):
        for script, argument in (("ci", "--fast"), ("soak", "--fast"), ("soak", "-3"), ("test", "--fast"), ("test", "fast")):
            status, _, err = self.call(script, argument)
            self.assertEqual(status, 2, err)
            self.assertIn(f"'{argument}'", err)
        self.assertEqual(self.calls.read_text(), "")
        status, out, err = self.call("test", "-R", "name", "-j2", "-LE", "slow", "--output-junit=file")
        self.assertEqual((status, err), (0, ""))
        self.assertTrue(out.endswith("-R name -j2 -LE slow --output-junit=file\n"), out)

    def test_what_does_not_compile_or_has_no_log_does_not_run(self):
        for script, folder in (("run", "run"), ("soak", "soak"), ("test", "test")):
            broken = pathlib.Path(f"{self.calls}.broken")
            broken.touch()
            status, out, err = self.call(script)
            self.assertEqual(status, 1)
            self.assertIn("main.cpp:1: error: broken", err)
            self.assertNotIn("in /", out)
            broken.unlink()
            log = self.checkout / "build" / folder / "build.log"
            log.unlink()
            log.mkdir()  # root may write any file
            status, out, err = self.call(script)
            self.assertEqual(status, 1)
            self.assertIn("the log of the build cannot be written", err)
            self.assertNotIn("in /", out)
            self.assertNotIn("ctest", out)

    def test_a_second_one_waits_and_says_so(self):
        for script in ("run", "soak", "test"):
            lock = self.checkout / "build" / script / "build.lock"
            lock.parent.mkdir(parents=True, exist_ok=True)
            with open(lock, "w") as file:
                file.write("4711\n")
                file.flush()
                fcntl.flock(file, fcntl.LOCK_EX)
                self.calls.write_text("")
                second = self.start(script)
                self.assertIn(f"build/{script} is in use by another run (process 4711). Waiting", second.stderr.readline())
                self.assertEqual(self.calls.read_text(), "")
            second.communicate()
            self.assertEqual(second.returncode, 0)
            self.assertIn("cmake --build", self.calls.read_text())


if __name__ == "__main__":
    unittest.main()
