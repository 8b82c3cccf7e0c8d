"""scripts/verify: see there, and `--help` of each part."""

import argparse
import sys

import model
import mutation
import weakening


def main():
    parser = argparse.ArgumentParser(prog="scripts/verify")
    parts = parser.add_subparsers(dest="part", required=True)
    model.add_arguments(parts)
    mutation.add_arguments(parts)
    weakening.add_arguments(parts)
    arguments = parser.parse_args()
    return arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
