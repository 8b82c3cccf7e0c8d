"""How fast this machine is just now, and how much a part of a quick run may ask of it.

Sizes that are written down here are seconds on two cores of a shared virtual machine with nothing
else to do. Elsewhere, or while others are at work, they are multiplied by the pace: how much longer
a small compilation takes, as many of them at a time as there are jobs. """

import concurrent.futures
import os
import time

from build import CXX, ROOT, run

SAMPLE = [
    "-std=c++20", "-O0", "-w", "-Iinclude", "-S", "-o", "/dev/null", "src/background_worker.cpp"
]
SAMPLE_SECONDS = 1.2
VARIABLE = "KSTONE_VERIFY_PACE"


def measured(jobs):
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda _: run([CXX, *SAMPLE], cwd=ROOT), range(jobs)))
    return max(0.2, (time.monotonic() - started) / SAMPLE_SECONDS)


class Share:
    """What one part may take. Whoever runs the part alone gives it all the time that it wants."""

    def __init__(self, seconds=float("inf"), pace=1.0):
        self.seconds, self.pace, self.started = seconds, pace, time.monotonic()

    @classmethod
    def given(cls):
        words = os.environ.get(VARIABLE, "").split()
        return cls(*map(float, words)) if len(words) == 2 else cls()

    def environment(self):
        return {VARIABLE: f"{self.seconds:.1f} {self.pace:.3f}"}

    def is_limited(self):
        return self.seconds != float("inf")

    def left(self):
        return self.seconds - (time.monotonic() - self.started)

    def holds(self, seconds, of=1.0):
        """Whether there is time for what takes so long elsewhere, and leaves the rest of what is
        left to others."""
        return self.left() * of >= seconds * self.pace


def shares(parts, left, pace):
    """The first of `parts`, {name: (least, usual)}: the least that it shows anything in, and of the
    time that this leaves for all of them as much as it would use of it."""
    (least, usual), *_ = parts.values()
    spare = left - pace * sum(size[0] for size in parts.values())
    wish = pace * sum(size[1] - size[0] for size in parts.values())
    return pace * least + pace * (usual - least) * min(1.5, max(0, spare) / wish if wish else 0)
