"""Whether a document shows what a program prints.

  gate_document.py DOCUMENT BLOCK FILE [--write]

The block of the document is the fenced one behind the line <!-- printed by: BLOCK -->; a line in it
that begins with "$ " is the command and stays out of the comparison. Times differ from run to run
and count as equal. FILE has what was printed. --write puts it into the document instead, which the
test consumer.model_gate does where KSTONE_WRITE_DOCUMENT is set."""

import argparse
import difflib
import pathlib
import re
import sys


def block_of(text, name):
    """(where its text begins and where it ends, its text)"""
    fenced = r"\n+```\n((?:\$ [^\n]*\n)*)(.*?)```\n"
    found = re.search(rf"<!-- printed by: {re.escape(name)} -->{fenced}", text, re.S)
    if not found:
        sys.exit(f"no block '{name}' in the document")
    return found.span(2), found[2]


def comparable(text):
    return [re.sub(r"\d+\.\d\d s\b", "T s", line.rstrip()) for line in text.splitlines()]


def differences(shown, printed):
    return list(
        difflib.unified_diff(comparable(shown), comparable(printed), "the document",
                             "what is printed", lineterm="", n=1))


def check_itself(printed):
    """Each line of it, left out or with a letter changed, must be told; a time must not."""
    lines = printed.splitlines(keepends=True)
    for i, line in enumerate(lines):
        changed = re.sub(r"[a-z]", "#", line, count=1) if re.search("[a-z]", line) else "x" + line
        if not all(
                differences("".join([*lines[:i], *instead, *lines[i + 1:]]), printed)
                for instead in ([], [changed])):
            sys.exit(f"a change of this line is not told: {line}")
    if differences(re.sub(r"\d+\.\d\d s\b", "987.65 s", printed), printed):
        sys.exit("another time is told")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("document", type=pathlib.Path)
    parser.add_argument("block")
    parser.add_argument("printed", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    text, printed = arguments.document.read_text(), arguments.printed.read_text()
    (begin, end), shown = block_of(text, arguments.block)
    check_itself(printed)
    found = differences(shown, printed)
    if found and arguments.write:
        arguments.document.write_text(text[:begin] + printed + text[end:])
    elif found:
        sys.exit(
            f"{arguments.document}: '{arguments.block}' is not what is printed; "
            f"KSTONE_WRITE_DOCUMENT=1 writes it:\n" + "\n".join(found))


if __name__ == "__main__":
    main()
