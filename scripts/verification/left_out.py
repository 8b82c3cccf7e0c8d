"""What the models leave out: the list of docs/verification.md, which is the only one."""

import re

from build import ROOT

HEADING = "## What the models leave out"


def left_out(root=ROOT):
    """The sentences, without their full stops."""
    text = (root / "docs" / "verification.md").read_text()
    section = text.partition(HEADING + "\n")[2].partition("\n## ")[0]
    return [
        " ".join(item.split()).rstrip(".")
        for item in re.findall(r"^- (.*?)(?=^- |^$|\Z)", section, re.M | re.S)
    ]
