"""What CMake has compiled of the worker and of the model checker, for who compiles one more worker
and need not compile what is the same."""

import os
import pathlib
import re

from build import CORE, CXX, MODEL_FLAGS, REST, model_sources, run

MAIN = "model/worker/main.cpp"


class Built:
    def __init__(self, tree, build, objects):
        """`objects` of the targets kstone_model and model_worker, below the folder `build`."""
        found = {source_of(os.path.relpath(path, build)): path for path in objects}
        self.model = model_sources(tree.directory)
        self.worker = [MAIN, *(f"src/{name}.cpp" for name in (*CORE, *REST))]
        for source in (*self.model, *self.worker):
            if not pathlib.Path(found.get(source, "")).is_file():
                raise SystemExit(f"{source} is not compiled: build kstone_model and model_worker")
        self.objects = {source: found[source] for source in (*self.model, *self.worker)}
        self.reads = files_read(tree, self.worker)

    def explorer(self):
        return [self.objects[source] for source in self.model]

    def rest(self):
        """Of what no fault is planted in, as it is."""
        return {f"src/{name}.cpp": self.objects[f"src/{name}.cpp"] for name in REST}

    def not_reading(self, files):
        """Of the worker, what is the same whatever stands in these files."""
        return {
            source: self.objects[source]
            for source in self.worker if self.reads[source].isdisjoint(files)
        }

    def is_listed(self, checkout, changed):
        """In the checkout CMake links these objects, but compiles what reads a changed file."""
        shared = {source: self.objects[source] for source in self.model}
        shared.update(self.not_reading(changed))
        for folder in ("src", "model", "model/worker"):
            listed = checkout / folder / "CMakeLists.txt"
            lines = listed.read_text().splitlines()
            for at, line in enumerate(lines):
                word = line.strip().removeprefix("${CMAKE_CURRENT_SOURCE_DIR}/")
                if f"{folder}/{word}" in shared:
                    lines[at] = f'"{shared.pop(f"{folder}/{word}")}"'
            target = {"src": "kstone", "model": "kstone_model"}.get(folder)
            if target:  # objects do not say it
                lines.append(f"set_target_properties({target} PROPERTIES LINKER_LANGUAGE CXX)")
            listed.write_text("\n".join(lines) + "\n")
        if shared:
            raise SystemExit(f"no CMakeLists.txt lists {' '.join(shared)}")


def source_of(path):
    """model/worker/CMakeFiles/model_worker.dir/__/__/src/text.cpp.o is of src/text.cpp."""
    folder, _, below = re.sub(r"CMakeFiles/\w+\.dir/", "//", path).rpartition("//")
    return os.path.normpath(f"{folder}/{below.replace('__/', '../')}").removesuffix(".o")


def files_read(tree, sources):
    """The files of the project that the compiler reads for each source, itself among them."""
    status, output = run([
        CXX, *MODEL_FLAGS, "-MM", "-Iinclude", "-Imodel", "-Imodel/worker", *sources
    ], cwd=tree.directory)
    if status != 0:
        raise SystemExit(output)
    rules = output.replace("\\\n", " ").splitlines()
    read = [{os.path.normpath(file) for file in rule.partition(":")[2].split()} for rule in rules]
    if [source in files for source, files in zip(sources, read, strict=True)].count(False):
        raise SystemExit(f"the compiler does not say what it reads:\n{output}")
    return dict(zip(sources, read))
