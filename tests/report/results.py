"""The fixture: results in which everything is as it should be, for tests to spoil."""

import html
import json
import pathlib
import re
import shutil
import sys
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "verification"))

import evidence  # noqa: E402
import writers  # noqa: E402


class Results:
    """A copy of the fixture that says that it is of the sources as they are."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        shutil.copytree(HERE / "fixture", self.directory, dirs_exist_ok=True)
        self.records = {
            part: {
                "digest": evidence.digest(part), "status": 0, "seconds": 60 + 10 * n,
                "finished": "2026-01-01T00:00:00+00:00"
            } for n, part in enumerate(evidence.PARTS)
        }
        self.save("parts", self.records)
        # So that each property has some evidence, also one that is added later.
        every = [entry["id"] for entry in evidence.Collector(self.directory).properties]
        self.change("stress", lambda stress: stress["checks"][0].update(properties=every))

    def load(self, name):
        return json.loads((self.directory / f"{name}.json").read_text())

    def save(self, name, data):
        (self.directory / f"{name}.json").write_text(json.dumps(data))

    def change(self, name, function):
        data = self.load(name)
        function(data)
        self.save(name, data)

    def refute(self, suite, counterexample_of):
        """As if `suite`, which must not fail, had failed in the way of another, which must."""
        def spoil(model):
            rows = {row["name"]: row for row in model["scenarios"]}
            other = rows[counterexample_of]
            rows[suite].update(
                {
                    key: other[key]
                    for key in ("verdict", "failure", "message", "file", "line", "lanes", "steps",
                                "standing", "preemptions", "fewest_preemptions")
                }, green=False, replay=other["replay"].replace(counterexample_of, suite))
        self.change("model", spoil)

    def collect(self, quick=False):
        return evidence.Collector(self.directory, quick=quick).collect()

    def write(self, quick=False, history=()):
        document = self.collect(quick)
        writers.write(document, self.directory / "report", list(history))
        return document, Report(self.directory / "report")


class Report:
    """The files of a report."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.html = (self.directory / "index.html").read_text()
        self.markdown = (self.directory / "summary.md").read_text()
        self.junit = (self.directory / "junit.xml").read_text()
        self.sarif = json.loads((self.directory / "results.sarif").read_text())
        self.json = json.loads((self.directory / "verification.json").read_text())

    def failed(self):
        return [check for check in self.json["checks"] if check["state"] == "failed"]

    def failures(self, terminal):
        """What the forms say where they speak of failures. Elsewhere in each of them stand
        properties, files and lines whatever happens: in tables, in rules, in the sources that the
        page brings along."""
        sections = re.findall(r'<section class="failure">.*?</section>', self.html, re.S)
        return {
            "JUnit": [
                f"{case.get('name')}\n{node.text}"
                for case in xml.fromstring(self.junit).iter("testcase")
                for node in case.iter("failure")
            ], "SARIF": [result["message"]["text"] for result in self.sarif["runs"][0]["results"]],
            "Markdown": [
                html.unescape(text)
                for text in re.findall(r"<details.*?</details>", self.markdown, re.S)
            ], "HTML": [html.unescape(re.sub(r"<.*?>", "", text)) for text in sections],
            "terminal": [terminal]
        }

    def unnamed(self, terminal, property_, file, line, replay):
        """What the forms leave out where they speak of failures: (form, what)."""
        failed = self.failed()
        replays = {entry["id"]: entry["replay"] for entry in self.json["counterexamples"]}
        places = [
            result["locations"][0]["physicalLocation"]
            for result in self.sarif["runs"][0]["results"]
        ]
        texts = self.failures(terminal)
        title = next(
            entry["title"] for entry in self.json["properties"] if entry["id"] == property_)

        def named(form, word):
            return any(word in text for text in texts[form])

        held = {
            "property": {form: named(form, f"{property_} {title}") for form in texts}, "line": {
                form: named(form,
                            f"at {file.rsplit('/', 1)[-1] if form == 'HTML' else file}:{line}\n")
                for form in texts
            }, "replay": {form: named(form, replay) for form in texts}
        }
        held["property"]["JSON"] = any(property_ in check["properties"] for check in failed)
        held["line"]["JSON"] = any(
            (check.get("file"), check.get("line")) == (file, line) for check in failed)
        held["replay"]["JSON"] = any(
            replays.get(check.get("counterexample")) == replay for check in failed)
        held["line"]["SARIF"] &= any(
            (place["artifactLocation"]["uri"], place["region"]["startLine"]) == (file, line)
            for place in places)
        return [(form, what) for what, forms in held.items()
                for form, holds in forms.items() if not holds]
