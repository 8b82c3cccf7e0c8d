"""Holds docs/properties.md against the suites: each property is named by a suite that must pass,
and a suite names no other.

  properties_check.py MODEL_WORKER     what lists the suites
"""

import pathlib
import sys
import tempfile

from results import ROOT
import evidence
from build import Suites


def problems(properties, suites):
    """`suites`: (name, the properties it names, must fail)."""
    known, shown = set(properties), set()
    found = []
    for name, named, must_fail in suites:
        found += [
            f"{name} names {word}, which has no section in docs/properties.md"
            for word in named if word not in known
        ]
        found += [f"{name} names no property"] if not named else []
        shown |= set() if must_fail else set(named)
    return found + [
        f"{name} is named by no suite that must pass" for name in properties if name not in shown
    ]


def main():
    with tempfile.TemporaryDirectory() as folder:
        names = Suites(pathlib.Path(sys.argv[1]), folder).names()
    suites = [(name, named.split(), must_fail) for name, named, must_fail in names]
    properties = [
        entry["id"] for entry in evidence.property_sections(ROOT / "docs" / "properties.md")
    ]
    # What must be noticed: a property without a suite, one that only a suite which must fail names,
    # a name that nobody knows.
    planted = [(properties + ["P999"], suites),
               (properties, [(n, p, p == ["P6"] or f) for n, p, f in suites]),
               (properties, suites + [("planted", ["P998"], False)]),
               (properties, suites + [("planted", [], False)])]
    for case in planted:
        if not problems(*case):
            print("a planted fault was not noticed")
            return 1
    found = problems(properties, suites)
    print("\n".join(found)
          or f"{len(properties)} properties, {len(suites)} suites: each names the other")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
