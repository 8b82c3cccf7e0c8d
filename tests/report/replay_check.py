"""What `scripts/verify replay` ends with, for executions that pass and that fail, of suites that
must pass and that must fail.

  replay_check.py MODEL_WORKER
"""

import json
import subprocess
import sys
import tempfile

import results  # noqa: F401  (finds the scripts)
import replay

PASSES, FAILS = "request_then_idle_1_1", "request_then_idle_that_publishes_nothing"
LIMITS = "s0,t0,w0,f0,d2"


def counterexample(program, suite):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([program, suite, "--json", file.name], stdout=subprocess.DEVNULL, check=True)
        return json.load(open(file.name))["scenarios"][0]["replay"]


def main():
    program = sys.argv[1]
    found = counterexample(program, FAILS)
    choices = found.split(";")[2]
    cases = [("the first execution of a suite that must pass", f"{PASSES};{LIMITS};-", 0,
              "this execution passes"),
             ("the counter-example of a suite that must fail", found, 0,
              "fails as its suite must: check failed"),
             ("another execution of that suite", f"{FAILS};{LIMITS};-", 1, "its suite must fail"),
             ("choices of another suite", f"{PASSES};{LIMITS};7{choices}", 2,
              "departs from the recorded choices"),
             ("no such suite", f"nobody;{LIMITS};-", 2, "no such execution"),
             ("no replay line", "nonsense", 2, "no such execution"), ]
    wrong = 0
    for name, line, status, words in cases:
        got, sentence = replay.replayed(program, line)
        if got != status or words not in sentence:
            print(f"FAILED {name}: {line}: {got}, {sentence}")
            wrong += 1
    # What a worker that is not as it should be says; here as it would be read, since there is none
    # to run.
    refuted = {
        "failure": "deadlock", "verdict": "refuted", "message": "nobody can step",
        "why": "data race was expected", "reason": ""
    }
    for entry, status in (({**refuted, "must_fail": False,
                            "green": False}, 1), ({**refuted, "must_fail": True,
                                                   "green": False}, 1)):
        if replay.meaning(entry)[0] != status:
            print(f"FAILED {entry}: {replay.meaning(entry)}")
            wrong += 1
    print(f"{len(cases) + 2} replays, {wrong} wrong"
          if wrong else f"{len(cases) + 2} replays end as documented")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
