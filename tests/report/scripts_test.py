"""The scripts, in a copy whose cmake, ctest and packages are stand-ins: nothing is built, installed
or downloaded."""

import argparse
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from results import ROOT
import everything

# What a script builds with is noted in `calls`; what it would build is there already, and says how
# it was called.
SLOW = ('case $1 in --version) exit;; esac\n'
        'test ! -e "$CALLS.slow" || { sleep 600 & sleep 600 & wait; }\n')
STAND_INS = {
    "cmake": '#!/bin/sh\necho "cmake $*" >>"$CALLS"\n' + SLOW +
             'test ! -e "$CALLS.broken" || { echo "main.cpp:1: error: broken"; exit 1; }\n',
    "dpkg-query": '#!/bin/sh\ntest -e "$CALLS.missing" || printf installed\n',
    # Who is hit by a signal notes no end.
    "apt-get": '#!/bin/sh\necho "apt-get $*" >>"$CALLS"\nsleep ${APT_SECONDS:-0}\necho "end of $*" '
               '>>"$CALLS"\n',
    "ctest": '#!/bin/sh\necho "ctest $*" | tee -a "$CALLS"\ntest ! -e "$CALLS.testing" || { sleep '
             '600 & wait; }\n',
}
PROGRAMS = {"build/run/tools/kstone-compact/kstone-compact", "build/soak/tsan/kstone_soak"}
SCRIPTS = ["bench", "ci", "run", "soak", "test", "verify"]


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name).resolve()
        self.checkout, self.elsewhere = self.home / "check out", self.home / "elsewhere"
        self.calls = self.home / "calls"
        shutil.copytree(ROOT / "scripts", self.checkout / "scripts",
                        ignore=shutil.ignore_patterns("__pycache__"))
        (self.elsewhere / "scripts").mkdir(parents=True)
        self.calls.touch()
        tools = self.home / "tools"
        tools.mkdir()
        for name, text in STAND_INS.items():
            self.program(tools / name, text)
        for path in PROGRAMS:
            self.program(self.checkout / path, '#!/bin/sh\necho "in $PWD: $*"\n')
        for path in ROOT.iterdir():  # which scripts/verify reads
            if path.name not in ("build", "scripts", ".git"):
                (self.checkout / path.name).symlink_to(path)
        self.environment = {
            **os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "CALLS": str(self.calls)
        }

    def program(self, path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def flag(self, name):
        """What a stand-in looks for."""
        path = pathlib.Path(f"{self.calls}.{name}")
        path.touch()
        self.addCleanup(path.unlink, missing_ok=True)
        return path

    def start(self, script, *arguments, path=None, session=False, **environment):
        return subprocess.Popen([path or self.checkout / "scripts" / script, *arguments],
                                cwd=self.elsewhere, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, start_new_session=session,
                                env={**self.environment, **environment})

    def wait_for_call(self, process, words):
        """Until a stand-in has been called so."""
        while words not in self.calls.read_text():
            self.assertIsNone(process.poll(), words)
            time.sleep(0.01)

    def children(self):
        """Processes that this test has left behind: stand-ins, and what they wait for."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"CALLS={self.calls}".encode() in path.read_bytes().split(b"\0"):
                    found.append(path.parent.name)
            except OSError:
                pass
        return found

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
        self.assertIn(
            f"in {self.elsewhere}: demo --summary {self.checkout}/build/run/summary.json\n",
            self.call("run")[1])
        self.assertIn(f"in {self.elsewhere}: demo --summary s.json\n",
                      self.call("run", "--summary", "s.json")[1])
        self.assertIn(f"in {self.elsewhere}: demo --summary s.json\n",
                      self.call("run", "--summary=s.json")[1])
        self.assertIn(f"in {self.elsewhere}: --seconds 600 --summary s.json\n",
                      self.call("soak", "--summary", "s.json")[1])

    def test_through_a_symbolic_link_and_with_cdpath(self):
        (self.elsewhere / "link").symlink_to(self.checkout / "scripts" / "run")
        for options in ({"path": self.elsewhere / "link"}, {"CDPATH": str(self.elsewhere)}):
            status, out, err = self.call("run", **options)
            self.assertEqual((status, err), (0, ""))
            self.assertIn(f"--summary {self.checkout}/build/run/summary.json", out)

    def test_what_is_not_understood_is_named_before_anything_is_done(self):
        self.flag("missing")  # they would install something first
        wrong = {
            "bench": [
                "--rounds x", "--rounds 0", "--rounds", "--bogus", "--only (", "--only", "--gate=1",
                "word"
            ], "ci": ["--fast", "word"], "run": [
                "--no-instal", "--stripes 3", "--stripes=x", "--seconds much", "--summary",
                "--keep=yes", "word"
            ], "soak": ["--fast", "-3", "0", "3 4", "--plant x", "--seed", "--summary --seed"],
            "test": [
                "--bogus", "-R", "--no-instal", "word", "-R (", "-R --bogus", "-j0", "-jx",
                "--no-tests=never", "--output-junit", "--repeat-until-fail x"
            ], "verify": [
                "bogus", "--bogus", "--quick model", "model --quick", "try bogus",
                "try request_then_idle_1_1 bogus", "replay", "replay nonsense",
                "replay bogus;s0,t0,w0,f0,d2;-", "replay x y", "all --parts tests,bogus",
                "all --again bogus", "model --only bogus", "props --programs x",
                "stress --minutes x", "--minutes -3", "mutants --only", "coverage --jobs 0",
                "--no-instal"
            ],
        }
        for script, lines in wrong.items():
            for line in lines:
                with self.subTest(script=script, line=line):
                    status, out, err = self.call(script, *line.split())
                    self.assertEqual((status, out), (2, ""), err)
                    self.assertRegex(
                        err,
                        rf"^scripts/{script}: .*; scripts/{script} --help says what there is\n$")
        self.assertEqual(self.calls.read_text(), "")
        self.assertEqual([path.name for path in (self.checkout / "build").glob("*/build.lock")], [])

    def test_what_is_understood_is_handed_on(self):
        status, out, err = self.call("test", "-R", "name", "-j2", "-LE", "slow",
                                     "--output-junit=file", "--tests-regex=a|b",
                                     "--no-tests=ignore", "--show-only=json-v1", "-VV")
        self.assertEqual((status, err), (0, ""))
        # A value behind a = is passed over by ctest.
        self.assertTrue(
            out.endswith(
                f" -R name -j 2 -LE slow --output-junit {self.elsewhere}/file --tests-regex a|b "
                "--no-tests=ignore --show-only=json-v1 -VV\n"), out)
        self.assertIn(
            ": --seconds 120 --summary x --plant no_load --seed 18446744073709551615\n",
            self.call("soak", "--summary=x", "--plant=no_load", "2", "--seed",
                      "18446744073709551615")[1].replace(f"{self.elsewhere}/", ""))

    def takes(self, script):
        """The options that a script says it takes, with the kind of their values."""
        text = re.search(r"^takes=\((.*?)\)$", (ROOT / "scripts" / script).read_text(),
                         re.M | re.S)[1]
        lines = [quoted or word for quoted, word in re.findall(r'"([^"]+)"|(\S+)', text)]
        return {
            name: line.partition(" ")[2] for line in lines
            for name in line.partition(" ")[0].split(",") if name.startswith("-")
        }

    def test_options_of_scripts_are_those_of_their_programs(self):
        helped = subprocess.run([shutil.which("ctest"), "--help"], capture_output=True, text=True,
                                check=True).stdout
        known = {
            option: "<" in line or "[S" in line for line in re.findall(r"^  (-.*)$", helped, re.M)
            for option in re.findall(r"(?<![\w-])--?[A-Za-z][A-Za-z-]*",
                                     line.partition("  ")[0])
        }
        for option, kind in self.takes("test").items():
            self.assertIn(option, known)
            if not kind.startswith("=") and option != "--test-load":  # whose help does not say so
                self.assertEqual(bool(kind), known[option], option)
        demo = re.search(r"^void add_demo\(.*?^}",
                         (ROOT / "tools/kstone-compact/main.cpp").read_text(), re.M | re.S)[0]
        self.assertEqual(set(self.takes("run")), set(re.findall(r'"(--[\w-]+)"', demo)))
        bench = (ROOT / "scripts/benchmark/run.py").read_text()
        self.assertEqual(set(self.takes("bench")),
                         set(re.findall(r'add_argument\("(--[\w-]+)"', bench)))

    def test_options_of_verify_are_those_of_its_parts(self):
        values = {
            "NUMBER": "0.5", "FOLDER": "folder", "FILE": "file", "PARTS": "tests,model",
            "PATTERN": "*", "NAME": "name", "DEMOTION": "file:3:load=relaxed",
            "LINE": "request_then_idle_1_1;s0,t0,w0,f0,d2;0a", "SUITE": "one_word_1_1"
        }
        text = re.search(r"^case \$part in\n(.*?)^esac$", (ROOT / "scripts/verify").read_text(),
                         re.M | re.S)[1]
        text = text.replace('"${several[@]}"',
                            '"--jobs 1..1000" "--output FOLDER" "--build FOLDER"')
        parts = next(action for action in everything.program()._actions
                     if isinstance(action, argparse._SubParsersAction))
        found = set()
        for part, inside in re.findall(r"^  (\w+)\) takes=\((.*?)\) ;;$", text, re.M | re.S):
            found.add(part)
            taken = [quoted or word for quoted, word in re.findall(r'"([^"]+)"|(\S+)', inside)]
            command = [part]
            for line in taken:
                option, _, kind = line.partition(" ")
                value = values.get(kind.rstrip("."),
                                   kind.split("|")[0] if "|" in kind else "5" if kind else "")
                command += [
                    option, value
                ] if kind else [option] if line.startswith("-") else [values[line.rstrip(".")]]
            everything.program().parse_args(command)
            mine = {line.partition(" ")[0] for line in taken if line.startswith("-")}
            theirs = {
                option for action in parts.choices[part]._actions
                for option in action.option_strings
            }
            self.assertEqual(mine, theirs - {"-h", "--help"}, part)
        self.assertEqual(found, set(parts.choices))

    def test_lines_are_narrow(self):
        for script in SCRIPTS:
            for line in self.call(script, "--help")[1].splitlines():
                self.assertLessEqual(len(line), 100, f"{script}: {line}")
        name = ("rocksdb.ColumnFamilyCompactor."
                "a_compaction_that_is_asked_to_stop_before_it_begins_merges_nothing_at_all")
        lines = [
            f"        Start   7: {name}",
            f"  1/468 Test   #7: {name} .......................   Passed    0.25 sec",
            "  2/468 Test  #12: model.worker "
            "..............................................***Timeout 300.01 sec",
            "468/468 Test  #13: model.litmus "
            "..............................................***Exception: SegFault  0.01 sec",
            "  3/468 Test  #15: a/b.c/d0  # GetParam() = 16-byte object <27-6C 61-44> ............ "
            "  Passed    0.00 sec",
            "468/468 Test  #14: model.kernels .............................................   "
            "Passed   40.01 sec",
            "  what else it prints, 1/3 Test"
        ]
        self.program(self.home / "tools" / "ctest",
                     "#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + "\nEND\nexit 8\n")
        status, out, _ = self.call("test")
        self.assertEqual(status, 8)
        shown = out[out.index("Testing.\n"):].splitlines()[1:]
        self.assertLessEqual(max(map(len, shown)), 100)
        self.assertEqual("".join(line.strip() for line in shown[:2]), f"1/468 0.25 s {name}")
        self.assertEqual(shown[2:], [
            "2/468 300.01 s ***Timeout model.worker",
            "468/468 0.01 s ***Exception: SegFault model.litmus", "3/468 0.00 s a/b.c/d0",
            "468/468 40.01 s model.kernels", "  what else it prints, 1/3 Test"
        ])

    def test_time_limits_are_those_against_hangs(self):
        found = 0
        for folder, folders, names in os.walk(ROOT):
            # not what other tests build and delete meanwhile; and an engine's, with its own limits
            folders[:] = set(folders) - {"build", "model_gate"}
            if "CMakeLists.txt" not in names:
                continue
            path = pathlib.Path(folder, "CMakeLists.txt")
            for limit in re.findall(r"\bTIMEOUT\s+(\S+?)\)?\s", path.read_text()):
                found += 1
                self.assertIn(limit,
                              ("${kstone_test_hangs_after}", "${kstone_small_test_hangs_after}"),
                              path)
        self.assertGreater(found, 20)

    def test_a_signal_ends_what_is_running_with_all_its_children(self):
        self.flag("slow")
        for script, arguments, called in (("test", [], "cmake --preset test"),
                                          ("soak", [],
                                           "cmake --preset run"), ("run", [], "cmake --preset run"),
                                          ("ci", [], "cmake --preset test"),
                                          ("verify", ["tests"], "cmake --preset test"),
                                          ("verify", ["--parts",
                                                      "tests"], "cmake --preset test"), ("verify", [
                                                          "replay", "one_word_1_1;s0,t0,w0,f0,d2;0"
                                                      ], "cmake --preset test")):
            for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
                with self.subTest(script=script, arguments=arguments, signal=number):
                    self.calls.write_text("")
                    process = self.start(script, *arguments)
                    self.wait_for_call(process, called)
                    process.send_signal(number)
                    process.communicate(timeout=60)
                    self.assertEqual(process.returncode, status)
                    self.assertEqual(self.children(), [])

    def test_a_signal_ends_ctest_with_its_tests(self):
        self.flag("testing")
        for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
            self.calls.write_text("")
            process = self.start("test")
            self.wait_for_call(process, "ctest --preset")
            process.send_signal(number)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, status)
            self.assertEqual(self.children(), [])

    def test_a_signal_waits_for_the_end_of_apt_get(self):
        self.flag("missing")
        for whole_group in (False, True):  # as a terminal does
            with self.subTest(whole_group=whole_group):
                self.calls.write_text("")
                process = self.start("run", session=True, APT_SECONDS="1")
                self.wait_for_call(process, "apt-get update")
                (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
                process.communicate(timeout=60)
                self.assertEqual(process.returncode, 130)
                # What had not begun does not begin.
                self.assertEqual(self.calls.read_text().splitlines(),
                                 ["apt-get update -qq", "end of update -qq"])

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
                self.assertIn(f"build/{script} is in use by another run (process 4711). Waiting",
                              second.stderr.readline())
                self.assertEqual(self.calls.read_text(), "")
            second.communicate()
            self.assertEqual(second.returncode, 0)
            self.assertIn("cmake --build", self.calls.read_text())


if __name__ == "__main__":
    unittest.main()
