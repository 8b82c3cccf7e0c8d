"""What the tools around the explorer must refuse, each with a sentence that names what was
wrong."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(MODEL.parent / "scripts" / "verification"))

import build
import model
import order

worker, soundness, refused = sys.argv[1:]
SUITE = "request_then_idle_without_tokens"
problems = []


def says(status, sentence, *command):
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           timeout=60)
    if found.returncode != status or sentence not in found.stdout:
        problems.append(
            f"{' '.join(command[1:])}: status {found.returncode} instead of {status}, or not "
            f"'{sentence}':\n{found.stdout[-1000:]}")
    return found.stdout


def expect(holds, sentence):
    if not holds:
        problems.append(sentence)


# A replay line that is what it should be, and what is not.
replay = says(0, "main sleeps on episode_ended", worker, SUITE,
              "--history").rpartition("--replay '")[2].split("'")[0]
name, limits, choices = replay.split(";")
says(0, "main sleeps on episode_ended", worker, "--replay", replay)
for line in (f"{name};{limits[:-1]}9;{choices}", f"{name};{limits}x;{choices}",
             f"{name};{limits};{choices}!", f"{name};{limits};", f"{name};{limits}", ""):
    says(2, f"not a replay line: '{line}'; expected was SUITE;", worker, "--replay", line)
for wrong in (choices + "z", choices + "0", "z" + choices, "7" + choices):
    says(1, "departs from the recorded choices", worker, "--replay", f"{name};{limits};{wrong}")

for shard in ("0/2x", "2/2", "0", "-1/2"):
    says(2, f"not a shard: '{shard}'; expected was i/n", worker, SUITE, f"--shard={shard}")
says(2, "--mode estimate with --jobs 2", worker, SUITE, "--mode", "estimate", "--jobs", "2")
says(2, "no such mode: 'fast'", worker, SUITE, "--mode", "fast")
says(2, "--jobs", worker, SUITE, "--jobs", "0")
says(2, "--bound", worker, SUITE, "--bound=-1")
for option, value in (("--programs", "0"), ("--programs", "abc"), ("--programs", "10x"),
                      ("--first", "abc"), ("--jobs", "0"), ("--planted", "0"), ("--one", "x")):
    says(2, f"{option} '{value}'; expected was a number", soundness, option, value)

says(2, "two suites are called 'many_objects'", refused, "--twice")
says(1, "a step conflicts with more than 512 others", refused, "many_conflicts")
says(1, "a step touches more than 6 objects", refused, "many_objects")
says(1, "unknown", refused, "many_objects")
says(1, "t1 waits for the turn of t0, which cannot step", refused, "late_turn")
says(0, "proved", refused, "late_turn", "--exchange-equals")
says(1, "t1 is said to be equal to others, and its turn is at refused.cpp", refused,
     "unequal_turns")
says(1, "equal_threads names thread(1) and 1 more; expected were", refused, "equals_beyond")
says(1, "equal_dynamic_threads is 1; expected was at most", refused, "equal_dynamic_beyond")

# A deadlock says where each thread waits and what it holds. No line is wider than it may be but the
# one to be copied.
LINES = (MODEL / "refused.cpp").read_text().splitlines()


def line_of(words):
    return next(i for i, text in enumerate(LINES, 1) if words in text)


at = [f"refused.cpp:{line_of(f'{guard}({name})')} {function}" for guard, name, function in (
    ("lock_guard outer", "first", "forwards"), ("lock_guard inner", "second", "forwards"),
    ("scoped_lock outer", "second", "backwards"), ("unique_lock inner", "first", "backwards"))]
said = says(1, "deadlock: nobody can step", refused, "opposite_order")
for words in ("main waits for the application threads to end",
              f"t0 waits to lock second, which t1 holds, at {at[1]}; holds first (since {at[0]})",
              f"t1 waits to lock first, which t0 holds, at {at[3]}; holds second (since {at[2]})",
              "main: before() and after(). t0: thread(0). t1: thread(1)."):
    expect(words in " ".join(said.split()), f"opposite_order: not '{words}' in: {said}")
expect(all(re.search(rf"^ +# .*\| {thread} ", said, re.M) for thread in ("main", "t0", "t1")),
       f"opposite_order: no column for each thread: {said}")
for shown in (said, says(0, "deadlock", worker, SUITE, "--history"),
              says(0, "refuted", worker, "request_then_idle_that_publishes_nothing", "--history")):
    lines = [line for line in shown.splitlines() if not line.startswith("replay: ")]
    wide = [line for line in lines if len(line) > 120]
    expect(not wide, f"wider than 120 columns: {wide[:3]}")

# What blocks the one real thread for good is told, with its place. None of it ever ends by itself.
# Long enough for a busy machine to have come so far.
SHORT = ("--step-seconds", "0.4")
for suite, does, words in (("real_mutex", "sleeps in std::lock_guard<...>",
                            "lock_guard<std::mutex> lock(mutex);"),
                           ("real_shared_mutex", "sleeps in std::unique_lock<...>",
                            "<std::shared_mutex> lock"), ("real_condition", "sleeps in ",
                                                          "done.wait(lock);"),
                           ("real_semaphore", "sleeps in ", "tokens.acquire();"),
                           ("real_atomic", "is busy ", "while (held.load())")):
    instead = {"real_condition": "Sync::condition_variable", "real_semaphore": "Sync::semaphore",
               "real_atomic": "Sync::atomic"}.get(suite, "Sync::mutex")
    said = " ".join(says(1, "unknown: t1 ", refused, suite, *SHORT).split())
    for part in (does, f" at refused.cpp:{line_of(words)}", "no step has come for 0.4 s",
                 f"use {instead}"):
        expect(part in said, f"{suite}: not '{part}' in: {said}")
says(1, "must fail: deadlock was expected; unknown: t1 sleeps in ", refused, "real_mutex_must_fail",
     *SHORT)
says(1, "the thread that stands still cannot be left", refused, "real_mutex_without_signals",
     *SHORT)
says(0, "proved", refused, "no_block", *SHORT)
says(2, "--step-seconds", refused, "no_block", "--step-seconds=-1")

# What stands in for a suite that is too large does not for one that is wrong; and a property wants
# a neighbour that fails.
GREEN = {
    "name": "small", "property": "P6", "verdict": "proved", "failure": "none", "green": True,
    "reason": "", "must_fail": False,
    "covers": [{"event": "running in the snapshot", "occurred": 1, "absent": 1}]
}
FAILS = {
    **GREEN, "name": "broken", "verdict": "refuted", "failure": "deadlock", "must_fail": True,
    "covers": []
}


def red(*rows):
    known = [(row["name"], row["property"], row["must_fail"]) for row in rows]
    done = {
        row["name"]: {"outcome": "", "message": "", "seconds": 0, "entry": dict(row)}
        for row in rows
    }
    return model.judged(None, "model_worker", known, done)[1]


def large(reason, failure="none"):
    return {
        **GREEN, "name": "large", "verdict": "unknown", "green": False, "fallback": "small other",
        "reason": reason, "failure": failure
    }


OTHER = {**GREEN, "name": "other"}
expect(not red(GREEN, OTHER, FAILS, large("the budget is used up")),
       "a suite that is cut short is not represented")
expect(not red(GREEN, OTHER, FAILS, large("a random search proves nothing")),
       "a random search is not represented")
expect(red(GREEN, FAILS, large("the budget is used up")),
       "one of two that stand in is missing, and nobody notices")
expect(red(GREEN, OTHER, FAILS, large("a step touches more than 6 objects", "model error")),
       "a model error is hidden by what stands in")
expect(red(GREEN, OTHER, FAILS, large("a shard is missing")),
       "a missing shard is hidden by what stands in")
expect(red(GREEN, {**FAILS, "property": "P3"}), "a property without a neighbour is not noticed")
expect(red(GREEN, {**FAILS, "green": False}), "a neighbour that does not fail is not noticed")
for covers in ([], [{"event": "running in the snapshot", "occurred": 2,
                     "absent": 0}], [{"event": "served", "occurred": 1, "absent": 1}]):
    expect(red({**GREEN, "covers": covers}, FAILS), f"a vacuous property is not noticed: {covers}")

# Processes that share a search find what one finds. A budget is that of all together.
with tempfile.TemporaryDirectory() as folder:
    def explored(suite, *options):
        path = pathlib.Path(folder) / "results.json"
        subprocess.run([worker, suite, "--json", path, *options], stdout=subprocess.DEVNULL,
                       timeout=120)
        return json.loads(path.read_text())["scenarios"][0]

    COUNTED = ("verdict", "failure", "executions_complete", "covers", "stale_reads",
               "spurious_wakeups", "longest_execution")
    for suite in ("request_then_idle_2_1", "wait_idle_against_request_and_shutdown_1_1_spurious",
                  "request_while_shutdown_is_frozen"):
        one, *others = [explored(suite, "--jobs", jobs) for jobs in ("1", "2", "3")]
        for other in others:
            for what in COUNTED:
                expect(
                    sorted(map(str, one[what])) == sorted(map(str, other[what]))
                    if what == "covers" else one[what] == other[what],
                    f"{suite} in processes: {what} is {other[what]}, in one {one[what]}")
    expect(
        explored("request_then_idle_that_publishes_nothing", "--jobs", "2")["green"],
        "processes refute nothing")
    one, all_of_them = (explored("request_then_idle_2_1", *options)
                        for options in ((), ("--exchange-equals", )))
    expect(
        one["green"] and all_of_them["green"] and
        one["executions_complete"] < all_of_them["executions_complete"] <=
        2 * one["executions_complete"],
        f"two equal threads exchanged: {all_of_them['executions_complete']} executions, and "
        f"{one['executions_complete']} in turn")
    for jobs in ("1", "3"):
        count = explored("request_then_idle_2_1", "--jobs", jobs, "--max-executions",
                         "100")["executions_complete"]
        expect(count <= 100, f"--jobs {jobs} --max-executions 100: {count} executions")

# Scenario files that nobody builds.
built = {f"{name}.cpp" for name in build.listed("model/worker", "model_worker")}
unlisted = {path.name for path in (MODEL / "worker").glob("*.cpp")} - built
expect(not unlisted, "model/worker/CMakeLists.txt does not list " + ", ".join(sorted(unlisted)))

# Swaps that mutants leave out, because nobody can see them, and those that they must not.
FACTS = order.Facts.of([
    "std::condition_variable changed_;\n  condition_variable changed_;\n  Cell<State> state_ "
    "KSTONE_GUARDED_BY(mutex_);",
    "bool closed() const;"
])
BODY = "auto& core = state_.write().core;"
for one, two, unseen in (
        ("++state_.write().callers;", "state_.write().started = true;", True),
        ("changed_.notify_all();", "++state_.write().callers;", True),
        # the second reads what the first writes
        ("++state_.write().callers;", "const bool many = state_.read().callers > 1;", False),
        # ... by another name
        ("core.apply(mode);", "const bool late = state_.read().core.closed();", False),
        ("++state_.write().callers;", "mutex_.unlock();", False),                  # others look
        ("++state_.write().callers;", "inbox_.wake(1);", False),
        # not known what it does
        ("++state_.write().callers;", "leave(slot);", False),
        ("++state_.write().callers;", "if (core.closed()) { return; }", False)):
    scope = order.Scope.of(FACTS, "mutex_", BODY)
    expect(order.unseen(scope, one, two) == unseen, f"'{one}' and '{two}': unseen is {not unseen}")
    expect(order.unseen(scope, two, one) == unseen, f"'{two}' and '{one}': unseen is {not unseen}")

for problem in problems:
    print(f"RED {problem}")
sys.exit(1 if problems else 0)
