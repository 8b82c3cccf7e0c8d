"""scripts/verify: see there, and `--help` of each part."""

import os
import sys

import ending
import evidence
import everything
from build import one_at_a_time


def main():
    arguments = everything.program().parse_args()
    ending.with_all_children("" if everything.ALONE in os.environ else "scripts/verify")
    with one_at_a_time(everything.ROOT / "build" / "verify" / f"{arguments.part}.lock"):
        return everything.recorded(
            arguments) if arguments.part in evidence.PARTS else arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
