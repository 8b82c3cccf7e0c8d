"""The parts of the verification: what each is called, and what its results depend on."""

import collections
import functools
import hashlib
import os
import re
import subprocess

from build import CXX, ROOT

# Title; files and folders that it reads, by name; patterns of what it does not read in them; what
# it is compiled with; packages whose headers it is compiled against.
Part = collections.namedtuple("Part", "title reads but tools packages")

ADAPTER = r"(^|/)rocksdb/"
# How CMake builds a part. The other parts are compiled by the scripts themselves.
CMAKE = ["CMakeLists.txt", "CMakePresets.json", "cmake"]


def scripts(*names):
    return [f"scripts/verification/{name}" for name in ("build.py", "ending.py", "pace.py", *names)]


PARTS = {
    "model": Part("Model checking", [
        "include", "src", "model", "docs/properties.md", *CMAKE,
        *scripts("model.py", "weakening.py", "arguments.txt")
    ], [ADAPTER], [CXX, "cmake"], ["relacy-dev", "libcli11-dev", "nlohmann-json3-dev"]),
    "mutants": Part(
        "Mutants", [
            "include", "src", "model", "proptests", "protocol", "tests",
            *scripts("mutation.py", "judges.py", "operators.py", "enumerations.py", "order.py",
                     "mutants", "equivalents.txt")
        ], [ADAPTER, r"^tests/(report|faults|consumer)", r"^proptests/programs/"], [CXX, "clang++"],
        ["relacy-dev", "libcli11-dev", "nlohmann-json3-dev", "librapidcheck-dev", "libgtest-dev"]),
    "props": Part(
        "Property tests", [
            "include", "src", "model", "proptests", "protocol", *CMAKE,
            *scripts("props.py", "programs.py", "findings.py", "model.py", "mutation.py",
                     "judges.py", "operators.py", "enumerations.py", "order.py", "mutants")
        ], [ADAPTER, r"^model/worker/(?!.*\.h$)"], [CXX, "cmake"],
        ["relacy-dev", "libcli11-dev", "nlohmann-json3-dev", "librapidcheck-dev", "libgtest-dev"]),
    "proof": Part("For any number", ["include", "protocol", "proof", *CMAKE, *scripts("proof.py")],
                  [ADAPTER], [CXX, "cmake"],
                  ["libz3-dev", "cvc5", "libcli11-dev", "nlohmann-json3-dev"]),
    "stress": Part("Real threads", [
        "include", "src", "protocol", "tsan", "tools/kstone-compact",
        "tests/faults/faulty_file_system.h", *scripts("stress.py")
    ], [], [CXX, "clang++-19"],
                   ["librocksdb-dev", "libcli11-dev", "libxxhash-dev", "nlohmann-json3-dev"]),
    "tests": Part(
        "Contract tests", [
            "include", "src", "tests", "tools/kstone-compact", "docs/memory-orders.md", *CMAKE,
            *scripts()
        ], [r"^tests/(report|consumer)", r"^tests/rocksdb/(?!sample_database)"],
        [CXX, "clang++", "cmake"],
        ["libgtest-dev", "librocksdb-dev", "libcli11-dev", "libxxhash-dev", "nlohmann-json3-dev"]),
    "coverage": Part("Coverage", [
        "include", "src", "tests", "proptests", "protocol", "tsan", "model",
        *scripts("coverage.py", "uncovered.txt")
    ], [r"^tests/(report|consumer)"], ["clang++-19", "llvm-cov-19"], [
        "relacy-dev", "libcli11-dev", "nlohmann-json3-dev", "librapidcheck-dev", "libgtest-dev",
        "librocksdb-dev", "libxxhash-dev"
    ]),
}


@functools.cache
def output_of(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True,
                              timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def version_of_package(name):
    return output_of("dpkg-query", "-W", "-f", "${Version}", name)


def version_of_tool(name):
    """The first line that says a version."""
    return next(
        (line
         for line in output_of(name, "--version").splitlines() if re.search(r"\d+\.\d+", line)), "")


def files(part, root=ROOT):
    """What the results of a part depend on, by name from the root. No prose, unless the part reads
    it by name."""
    found = set()
    for name in PARTS[part].reads:
        path = root / name
        inside = [file
                  for file in path.rglob("*") if file.suffix != ".md"] if path.is_dir() else [path]
        found |= {
            str(file.relative_to(root))
            for file in inside if file.is_file() and "__pycache__" not in file.parts
        }
    return sorted(
        name for name in found if not any(re.search(pattern, name) for pattern in PARTS[part].but))


def digest(part, root=ROOT):
    """Of the sources that the results of a part depend on, and of what compiles them."""
    state = hashlib.sha1()
    for name in files(part, root):
        state.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
    for version in [
            *map(version_of_tool, PARTS[part].tools), *map(version_of_package, PARTS[part].packages)
    ]:
        state.update(version.encode() + b"\0")
    state.update(os.environ.get("CXXFLAGS", "").encode())
    return state.hexdigest()
