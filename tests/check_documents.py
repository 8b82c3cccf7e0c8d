#!/usr/bin/env python3
"""Holds the documents against the repository:

  - a line of prose has at most 100 columns (tables, code and the targets of links do not count),
  - each link within the repository leads to a file that is there, and to a heading that it has,
  - each path that stands in backquotes is there, and so is each test,
  - each decision (D1) and each section of the contract that any file cites exists.

Then plants a fault of each kind, and expects to be told.

  check_documents.py ROOT
"""

import fnmatch
import os
import pathlib
import re
import sys

COLUMNS = 100
DECISIONS, CONTRACT = "docs/decisions.md", "docs/contract.md"

# Pages that are being rewritten: lines are longer, or the page is not there yet. An entry that is
# no longer needed is an error.
WIDE = {"docs/building.md", "docs/gate.md", "model/README.md"}
NOT_THERE_YET = set()

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"`(contract|faults|rocksdb)\.(?:\w+/)?(\w+)\.([\w*]+)`")


def read(root):
    """Every file of the repository by its path, with its text; without what is built there."""
    files = {}
    for folder, folders, names in os.walk(root):
        built = "CMakeCache.txt" in names
        made = (".git", "build", "__pycache__")
        folders[:] = [name for name in folders if not built and name not in made]
        for path in [] if built else sorted(pathlib.Path(folder, name) for name in names):
            files[str(path.relative_to(root))] = path.read_text(encoding="utf-8", errors="ignore")
    return files


def outside_code(text):
    code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code:
            yield number, line


def columns(line):
    return len(re.sub(r"https?://\S+", "", re.sub(r"\]\([^)]*\)", "]", line)))


def anchors(text):
    """What GitHub makes of headings."""
    headings = (line.lstrip("#").strip() for _, line in outside_code(text) if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def wide_lines(files):
    for name, text in files.items():
        if not name.endswith(".md"):
            continue
        wide = [number for number, line in outside_code(text)
                if not line.startswith("|") and columns(line) > COLUMNS]
        if name in WIDE and not wide:
            yield f"{name}: has no long line any more; take it out of WIDE in check_documents.py"
        if name not in WIDE:
            yield from (f"{name}:{number}: more than {COLUMNS} columns" for number in wide)


def dead_links(files):
    folders = {str(folder) for name in files for folder in pathlib.PurePath(name).parents}
    known = {*files, *folders, *NOT_THERE_YET}
    roots = {name.split("/")[0] for name in files if "/" in name}
    yield from (f"{name}: is there; take it out of NOT_THERE_YET in check_documents.py"
                for name in sorted(NOT_THERE_YET & set(files)))
    for name, text in files.items():
        if not name.endswith(".md"):
            continue
        page = "\n".join(line for _, line in outside_code(text))
        for target in LINK.findall(page):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            found = str(resolved(name, path)) if path else name
            if found not in known:
                yield f"{name}: the link to {target} leads nowhere"
            elif anchor and anchor not in anchors(files.get(found, "")):
                yield f"{name}: {found} has no heading #{anchor}"
        for quoted in re.findall(r"`([\w./-]+/[\w./-]*)", page):
            path = quoted.rstrip("/")
            path = f"include/{path}" if re.fullmatch(r"kstone/[\w/]+\.h", path) else path
            if path.split("/")[0] in roots and path not in known:
                yield f"{name}: there is no {path}"


def resolved(name, path):
    parts = []
    for part in (pathlib.PurePath(name).parent / path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return pathlib.PurePath(*parts)


def unknown_tests(files):
    known = set()
    for name, text in files.items():
        place = re.fullmatch(r"tests/(?:(faults|rocksdb)/)?\w+\.cpp", name)
        if place:
            found = re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", text, re.M)
            known |= {f"{place[1] or 'contract'}.{suite}.{test}" for suite, test in found}
    for name, text in files.items():
        for kind, suite, test in TEST.findall(text) if name.endswith(".md") else ():
            if not fnmatch.filter(known, f"{kind}.{suite}.{test}"):
                yield f"{name}: there is no test {kind}.{suite}.{test}"


def unknown_numbers(files):
    decisions = [int(number) for number in re.findall(r"^### D(\d+) ", files[DECISIONS], re.M)]
    sections = set(re.findall(r"^## (\d+)\. ", files[CONTRACT], re.M))
    if decisions != list(range(1, len(decisions) + 1)):
        yield f"{DECISIONS}: the headings are not D1, D2, D3, ... each once"
    for name, text in files.items():
        for number in re.findall(r"\bD(\d{1,3})\b", text):
            if int(number) not in decisions:
                yield f"{name}: there is no decision D{number}"
        for number in re.findall(r"\bcontract,? (?:section )?(\d+)\b", text, re.I):
            if number not in sections:
                yield f"{name}: the contract has no section {number}"


def problems(files):
    return [*wide_lines(files), *dead_links(files), *unknown_tests(files), *unknown_numbers(files)]


def unnoticed(files):
    """Faults that are planted and not told of."""
    decision, section = "D" + "998", "contract " + "97"  # apart, since this file is looked at, too
    planted = [("README.md", "word " * 21, "more than 100 columns"),
               ("README.md", "[a](docs/none.md)", "the link to docs/none.md leads nowhere"),
               ("README.md", "[a](docs/contract.md#none)", "docs/contract.md has no heading #none"),
               ("docs/faults.md", "[a](README)", "the link to README leads nowhere"),
               ("docs/faults.md", "| `tests/none_test.cpp` |", "there is no tests/none_test.cpp"),
               ("docs/faults.md", "`kstone/none.h`", "there is no include/kstone/none.h"),
               ("docs/faults.md", "`contract.Start.none`", "there is no test contract.Start.none"),
               ("docs/faults.md", "`faults.None.*`", "there is no test faults.None.*"),
               ("src/core/scheduling_core.cpp", f"// {decision}",
                f"there is no decision {decision}"),
               ("src/core/scheduling_core.cpp", f"// {section}", "the contract has no section 97"),
               (DECISIONS, "### D1 Twice", "not D1, D2, D3, ... each once")]
    replaced = {**dict.fromkeys(WIDE, "take it out of WIDE"),
                **dict.fromkeys(NOT_THERE_YET, "take it out of NOT_THERE_YET")}
    cases = [({**files, name: f"{files[name]}\n{line}\n"}, told) for name, line, told in planted]
    cases += [({**files, name: "short\n"}, told) for name, told in replaced.items()]
    for spoiled, told in cases:
        if not any(told in problem for problem in problems(spoiled)):
            yield f"check_documents.py: a fault was planted, and this was not said: {told}"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check_documents.py ROOT")
    files = read(pathlib.Path(sys.argv[1]))
    found = problems(files) or list(unnoticed(files))
    pages = sum(name.endswith(".md") for name in files)
    print("\n".join(found) or f"documents: what {pages} pages say of the repository is so")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
