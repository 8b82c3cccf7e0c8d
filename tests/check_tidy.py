#!/usr/bin/env python3
"""The sources of the library, and the headers that they include, as clang-tidy finds them:
check_tidy.py ROOT CLANG_TIDY. The checks are those of .clang-tidy; each has to find what is planted
for it. Exit status 1 if one finds something, or nothing there."""

import pathlib
import subprocess
import sys
import tempfile

PLANTED = {
    "bugprone-dangling-handle":
        "std::string_view f1() { std::string_view view = std::string(\"a\"); return view; }",
    "bugprone-suspicious-stringview-data-usage":
        "void take(const char*); void f2(std::string_view view) { take(view.data()); }",
    "bugprone-use-after-move":
        "std::size_t f3(std::string a) { auto b = std::move(a); return a.size() + b.size(); }",
    "modernize-use-override":
        "struct B { virtual ~B() = default; virtual void f(); };"
        " struct D : B { virtual void f(); };",
    "performance-for-range-copy":
        "std::size_t f5(const std::vector<std::string>& all) { std::size_t n = 0;"
        " for (auto each : all) n += each.size(); return n; }",
    "performance-move-const-arg":
        "void keep(std::string); void f6(const std::string& a) { keep(std::move(a)); }",
    "performance-unnecessary-value-param":
        "std::size_t f7(std::vector<std::string> all) { return all.size(); }",
}
INCLUDES = "#include <string>\n#include <string_view>\n#include <utility>\n#include <vector>\n"


def run(clang_tidy, root, file):
    found = subprocess.run(
        [clang_tidy, "--quiet", f"--config-file={root / '.clang-tidy'}", file, "--", "-std=c++20",
         f"-I{root / 'include'}"], capture_output=True, text=True)
    return found.returncode, found.stdout


def without_planted(root, clang_tidy):
    """What does not find the fault that is planted for it, and what has none."""
    listed = subprocess.run(
        [clang_tidy, "--list-checks", f"--config-file={root / '.clang-tidy'}"],
        capture_output=True, text=True, check=True).stdout.split()
    checks = {each for each in listed if "-" in each}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "planted.cpp"
        file.write_text(INCLUDES + "\n".join(PLANTED.values()) + "\n")
        status, output = run(clang_tidy, root, file)
    wrong = [f"{check}: no fault is planted for it" for check in sorted(checks - PLANTED.keys())]
    wrong += [f"{check}: planted, and not found" for check in PLANTED if f"[{check}" not in output]
    return wrong + ([] if status != 0 else ["clang-tidy ends with status 0 on planted faults"])


def main():
    root, clang_tidy = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    wrong = without_planted(root, clang_tidy)
    sources = sorted((root / "src").rglob("*.cpp"))
    for source in sources:
        status, output = run(clang_tidy, root, source)
        wrong += [output.strip() or f"{source}: status {status}"] if status != 0 else []
    print("\n".join(wrong) or f"tidy: nothing in {len(sources)} sources and what they include")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
