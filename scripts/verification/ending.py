"""A signal that ends this process ends all that it has started as well: compilers, suites and
tests, which are sessions of their own, so that the terminal's signals do not come to them."""

import collections
import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
# What does not end by itself within so many seconds is killed.
GRACE = 5
PR_SET_CHILD_SUBREAPER = 36

_starting = threading.RLock()


def start(command, **options):
    """A process in a session of its own."""
    with _starting:
        return subprocess.Popen(command, start_new_session=True, **options)


def descendants(pid):
    """Those that still run."""
    children = collections.defaultdict(list)
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
        except (OSError, ValueError):
            continue
        children[int(parent)].append((int(stat.parent.name), state))
    found, running = [pid], []
    for one in found:
        found += [child for child, _ in children[one]]
        running += [child for child, state in children[one] if state not in "ZX"]
    return running


def send(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def is_running(pid):
    try:
        after_name = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]
        return after_name.split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def end(process, grace=GRACE):
    """Ends a child with all that it has started, which nobody would find once it is gone. They are
    asked to first, so that compilers take their temporary files along."""
    pids = [process.pid, *descendants(process.pid)]
    send(pids, signal.SIGTERM)
    until = time.monotonic() + grace
    while any(map(is_running, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    pids += descendants(process.pid)
    send(filter(is_running, pids), signal.SIGKILL)
    process.wait()


def end_all(grace=GRACE):
    """Ends whatever this process has started."""
    until = time.monotonic() + grace
    asked = set()
    while left := set(descendants(os.getpid())):
        late = time.monotonic() > until
        send(left if late else left - asked, signal.SIGKILL if late else signal.SIGTERM)
        asked |= left
        time.sleep(0.02)


def with_all_children(program):
    """From here on a signal ends this process with its children, and the exit status says which it
    was."""
    def handle(number, _):
        for one in SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        if program:
            print(f"{program}: ended by {signal.Signals(number).name}", file=sys.stderr, flush=True)
        with _starting:  # nothing is started any more
            end_all()
            os._exit(128 + number)

    # What is left without its parent is a child of this process then.
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)
