"""scripts/verify: see there, and `--help` of each part."""

import argparse
import importlib
import importlib.util
import sys

import evidence
import everything
import model
import mutation
import replay
import weakening


def main():
    parser = argparse.ArgumentParser(prog="scripts/verify")
    parts = parser.add_subparsers(dest="part", required=True)
    everything.add_arguments(parts)
    model.add_arguments(parts)
    mutation.add_arguments(parts)
    weakening.add_arguments(parts)
    for name in ("props", "stress"):
        if importlib.util.find_spec(name):
            importlib.import_module(name).add_arguments(parts)
    replay.add_arguments(parts)
    arguments = parser.parse_args()
    try:
        return everything.recorded(arguments) if arguments.part in evidence.PARTS else arguments.run(arguments)
    except KeyboardInterrupt:
        print("interrupted")
        return 130


if __name__ == "__main__":
    sys.exit(main())
