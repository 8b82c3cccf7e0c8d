"""scripts/verify: see there, and `--help` of each part."""

import sys

import evidence
import everything
from build import one_at_a_time


def main():
    arguments = everything.program().parse_args()
    try:
        with one_at_a_time(everything.ROOT / "build" / "verify" / f"{arguments.part}.lock"):
            return everything.recorded(arguments) if arguments.part in evidence.PARTS else arguments.run(arguments)
    except KeyboardInterrupt:
        print("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
