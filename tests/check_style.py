#!/usr/bin/env python3
"""Holds the sources against what CONTRIBUTING.md says of them. Of C++:

  - clang-format 19 has nothing to change,
  - a file of the library has at most 400 lines, another at most 700,
  - a function has at most 70.

Of C++, Python, CMake and shell: a line has at most 100 columns. (clang-format leaves a word that is
longer as it is.)

What is longer stands in LONGER with a reason; an entry that is no longer needed is an error. Then
plants a fault of each kind, and expects to be told.

  check_style.py ROOT CLANG-FORMAT CTAGS
"""

import pathlib
import subprocess
import sys
import tempfile

LIBRARY = ("include/", "src/")
LINES_OF_LIBRARY, LINES, LINES_OF_FUNCTION, COLUMNS = 400, 700, 70, 100
CPP, OTHERS = (".h", ".cpp"), (".py", ".cmake", ".sh")

# Planted: a name of each kind of file whose second line is too long.
WIDE = ("wide.py", "wide.cmake", "CMakeLists.txt", "wide.sh", "script")

# File, or file and function: why it is longer.
LONGER = {}


def is_shell(path):
    """Whether it is a shell script without an ending, as those of scripts/ are."""
    with path.open("rb") as file:
        return not path.suffix and file.readline().rstrip() == b"#!/usr/bin/env bash"


def sources(root):
    """The files of the repository that are looked at, without what is built there."""
    def files(folder):
        if (folder / "CMakeCache.txt").exists() or folder.name in (".git", "build"):
            return
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                yield from files(path)
            elif path.is_file() and (path.suffix in (*CPP, *OTHERS) or path.name == "CMakeLists.txt"
                                     or is_shell(path)):
                yield str(path.relative_to(root))
    return list(files(root))


def unformatted(root, names, clang_format):
    done = subprocess.run([clang_format, "--dry-run", "-Werror", *names], cwd=root,
                          capture_output=True, text=True)
    places = [line for line in done.stderr.splitlines() if "-Wclang-format-violations" in line]
    if done.returncode != 0 and not places:
        places = [done.stderr.strip() or f"{clang_format} failed"]
    return [
        f"{place.partition(' error: ')[0]} not as clang-format 19 lays it out" for place in places
    ]


def long_lines(root, names):
    for name in names:
        for number, line in enumerate((root / name).read_text().splitlines(), 1):
            if len(line) > COLUMNS:
                yield f"{name}:{number}: {len(line)} columns, more than {COLUMNS}"


def long_files(root, names):
    for name in names:
        count = len((root / name).read_text().splitlines())
        most = LINES_OF_LIBRARY if name.startswith(LIBRARY) else LINES
        if count > most:
            yield name, f"{name}: {count} lines, more than {most}"


def long_functions(root, names, ctags):
    done = subprocess.run([
        ctags, "--languages=C++", "--langmap=C++:.h.cpp", "--kinds-C++=f", "--fields=ne", "-f", "-",
        *names
    ], cwd=root, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        function, name, *fields = line.split("\t")
        values = dict(
            field.split(":", 1) for field in fields if ":" in field and not field.startswith("/"))
        if "end" not in values:
            continue
        first, last = int(values["line"]), int(values["end"])
        if last - first + 1 > LINES_OF_FUNCTION:
            yield f"{name} {function}", (
                f"{name}:{first}: {function} has {last - first + 1} lines, "
                f"more than {LINES_OF_FUNCTION}")


def complaints(root, clang_format, ctags, longer):
    every = sources(root)
    names = [name for name in every if name.endswith(CPP)]
    found = [*unformatted(root, names, clang_format), *long_lines(root, every)]
    long = dict([*long_files(root, names), *long_functions(root, names, ctags)])
    found += [text for key, text in long.items() if key not in longer]
    found += [f"{key}: listed as longer, and is not" for key in longer if key not in long]
    return found


def planted(clang_format, ctags):
    """What a folder with a fault of each kind gives, each by a word that has to stand in a
    complaint."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / ".clang-format").write_text("BasedOnStyle: Google\n")
        (root / "src").mkdir()
        (root / "src" / "spaces.cpp").write_text("int  spaces;\n")
        (root / "src" / "library.cpp").write_text("int a;\n" * (LINES_OF_LIBRARY + 1))
        (root / "other.cpp").write_text("int a;\n" * (LINES + 1))
        for name, lines in (("much", LINES_OF_FUNCTION - 1), ("fits", LINES_OF_FUNCTION - 2)):
            body = f"  {name}();\n" * lines
            (root / f"{name}.cpp").write_text(f"void {name}() {{\n{body}}}\n")
        for name in WIDE:
            first = "#!/usr/bin/env bash\n" if "." not in name else ""
            (root / name).write_text(f"{first}# {'x' * (COLUMNS - 2)}\n# {'x' * (COLUMNS - 1)}\n")
        (root / "wide.cpp").write_text(f"// {'x' * (COLUMNS - 2)}\n")
        (root / "prose.md").write_text("x" * (COLUMNS + 1))
        found = complaints(root, clang_format, ctags, {"gone.cpp": "no such file"})
    wanted = ["src/spaces.cpp:1", "src/library.cpp: ", "other.cpp: ", "much has", "gone.cpp: ",
              "wide.cpp:1: ", "script:3: ", *(f"{name}:2: " for name in WIDE if "." in name)]
    missed = [
        f"a planted fault was not noticed: {word}"
        for word in wanted if sum(word in text for text in found) != 1
    ]
    return missed + ([f"more than was planted: {found}"] if len(found) != len(wanted) else [])


def main():
    root, clang_format, ctags = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    found = complaints(root, clang_format, ctags, LONGER) + planted(clang_format, ctags)
    for complaint in found:
        print(complaint)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
