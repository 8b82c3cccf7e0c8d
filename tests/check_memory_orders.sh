#!/usr/bin/env bash
# Holds docs/memory-orders.md against the labels in the code:
#   - every label "[X1] order" in include/ and src/ stands there once, and has a row of that order,
#   - every row has a label,
#   - the partners that a label names in the code are in its row, and name it back in theirs,
#   - the first operation after a label has the order that the label says,
#   - every atomic operation with an order stronger than relaxed is that of a label.
# Then plants a fault of each kind in a copy, and expects to be told.
set -euo pipefail

check() {  # check <root>
  python3 - "$1" <<'PYTHON'
import pathlib, re, sys

root = pathlib.Path(sys.argv[1])
problems = []
rows = {}
for line in (root / "docs/memory-orders.md").read_text().splitlines():
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) == 5 and re.fullmatch(r"[A-Z]\d+", cells[0]):
        rows[cells[0]] = (cells[2], set(re.findall(r"[A-Z]\d+", cells[3])))

labels = {}
files = sorted(p for folder in ("include", "src") for p in (root / folder).rglob("*")
               if p.suffix in (".h", ".cpp"))
for path in files:
    lines = path.read_text().splitlines()
    code = [line.split("//", 1)[0] for line in lines]
    labelled = set()
    for number, line in enumerate(lines, 1):
        for match in re.finditer(r"\[([A-Z]\d+)\] (acq_rel|acquire|release|seq_cst)\b", line):
            if match[1] in labels:
                problems.append(f"{path}:{number}: label {match[1]} is used twice")
            sentence = " ".join(lines[number - 1:number + 4])
            partners = sentence.split("pairs with", 1)[-1].split(".", 1)[0]
            labels[match[1]] = (match[2], set(re.findall(r"\[([A-Z]\d+)\]", partners)))
            operation = next((n for n in range(number, min(number + 9, len(code)))
                              if "memory_order_" in code[n]), None)
            order = operation is not None and re.search(r"memory_order_(\w+)", code[operation])[1]
            if order != match[2]:
                problems.append(f"{path}:{number}: the operation after label {match[1]}, "
                                f"{match[2]}, is {order or 'not there'}")
            labelled.add(operation)
    for number, line in enumerate(code):
        ordered = re.search(r"memory_order_(acq_rel|acquire|release|seq_cst)", line)
        if ordered and number not in labelled:
            problems.append(f"{path}:{number + 1}: an ordered operation without a label")

for label, (order, partners) in sorted(labels.items()):
    if label not in rows:
        problems.append(f"label {label} has no row")
        continue
    if rows[label][0] != order:
        problems.append(f"label {label} is {order} in the code and {rows[label][0]} in its row")
    for partner in partners:
        if partner not in rows[label][1]:
            problems.append(f"the row of {label} lacks its partner {partner}")
for label, (_, partners) in sorted(rows.items()):
    if label not in labels:
        problems.append(f"row {label} has no label in the code")
    for partner in partners:
        if partner not in rows or label not in rows[partner][1]:
            problems.append(f"{label} names {partner}, which does not name it back")
print("\n".join(problems) or f"memory orders: {len(labels)} labels, each with its row and partners")
sys.exit(1 if problems else 0)
PYTHON
}

root=${1:?usage: check_memory_orders.sh ROOT}
check "$root"

planted=$(mktemp -d)
trap 'rm -rf "$planted"' EXIT
plant() {  # plant <file> <sed expression>
  rm -rf "${planted:?}"/*
  mkdir -p "$planted/docs"
  cp "$root/docs/memory-orders.md" "$planted/docs/"
  cp -r "$root/include" "$root/src" "$planted/"
  sed -i "$2" "$planted/$1"
  if cmp -s "$planted/$1" "$root/$1"; then
    echo "check_memory_orders.sh: the fault '$2' changes nothing" >&2
    exit 1
  fi
  if check "$planted" >/dev/null; then
    echo "check_memory_orders.sh: did not notice '$2' in $1" >&2
    exit 1
  fi
}
plant docs/memory-orders.md '/^| T2 /d'
plant docs/memory-orders.md 's/^| T1 \(.*\)| acquire |/| T1 \1| relaxed |/'
plant docs/memory-orders.md 's/T1, C2, F1/T1, C2/'
plant include/kstone/detail/shell/pushing.h 's/\[L1\] release/release/'
plant include/kstone/detail/shell/inbox.h 's/\[T2\] acquire/[T1] acquire/'
plant include/kstone/detail/shell/inbox.h \
  's/\(fetch_sub(StripeWord::running_bit, std::memory_order_\)release)/\1relaxed)/'
