"""Makes mutants of C++ sources: every operator at every place where it applies.

The parser below knows as much C++ as the sources of the worker use: comments, preprocessor lines,
functions, statements. What it misreads becomes a mutant that does not compile, which the runner
counts apart; nothing is misjudged by it.

A mutant is named by its file, function, operator and texts, not by its line, so that a declaration
about it (see equivalents.txt) outlives a change elsewhere in the file. """

import difflib
import itertools
import pathlib
import re
import subprocess
import tempfile
from dataclasses import dataclass, field

import order

TOKEN = re.compile(
    r"""(?P<space>\s+)
      |(?P<comment>//[^\n]*|/\*.*?\*/)
      |(?P<directive>^\#(?:[^\n\\]|\\.|\\\n)*)
      |(?P<string>"(?:[^"\\]|\\.)*")
      |(?P<char>'(?:[^'\\\n]|\\.)')
      |(?P<number>\d[\w']*)
      |(?P<word>[A-Za-z_]\w*)
      |(?P<op><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\*=|/=|\|=|&=|::|.)""",
    re.X | re.S | re.M,
)

@dataclass
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass
class Mutant:
    file: str       # relative to the project
    line: int
    function: str
    operator: str
    before: str
    after: str
    # (start, end, text) in the file; of a hand-written one: (file, start, end, text)
    edits: list
    name: str = ""
    number: int = 0


@dataclass
class Statement:
    kind: str       # simple declaration return jump if while for do switch block try case other
    first: int      # token indices, last exclusive
    last: int
    condition: tuple = None             # of if, while, do
    children: list = field(default_factory=list)  # the statements of a block, or the branches
    otherwise: "Statement" = None
    else_at: int = None


def tokenize(text):
    tokens, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        at = match.end()
        if match.lastgroup not in ("space", "comment", "directive"):
            tokens.append(Token(match.lastgroup, match.group(), match.start(), match.end()))
    return tokens


CLOSING = {"(": ")", "[": "]", "{": "}"}


class Source:
    def __init__(self, file, text):
        self.file, self.text = file, text
        self.tokens = tokenize(text)
        self.partner = {}
        stack = []
        for index, token in enumerate(self.tokens):
            if token.text in CLOSING:
                stack.append(index)
            elif token.text in CLOSING.values():
                opened = stack.pop()
                assert CLOSING[self.tokens[opened].
                               text] == token.text, f"{file}: unbalanced near {token.start}"
                self.partner[opened] = index
                self.partner[index] = opened
        self.functions = []       # (name, Statement of the body)
        # first token of a body: whether the function is void, a constructor or a destructor
        self.returns_nothing = {}
        # (class name, first token, last token) of declarations with an initializer
        self.members = []
        self._scope(0, len(self.tokens), "")

    # -- Parsing -----------------------------------------------------------------------------------

    def at(self, index):
        return self.tokens[index].text if index < len(self.tokens) else ""

    def words(self, first, last):
        return [token.text for token in self.tokens[first:last]]

    def _scope(self, at, end, owner):
        """Declarations at the level of a namespace or class."""
        first = at
        while at < end:
            text = self.at(at)
            if text in ("(", "["):
                at = self.partner[at]
            elif text == "{":
                head = self._without_template(first, at)
                keyword = next(
                    (word
                     for word in self.words(head, at) if word not in ("static", "inline", "const")),
                    "")
                closing = self.partner[at]
                if keyword in ("namespace", "class", "struct"):
                    named = [
                        t.text
                        for t in self.tokens[head:at] if t.kind == "word" and not t.text.isupper()
                    ]
                    self._scope(at + 1, closing,
                                named[-1] if keyword != "namespace" and named else owner)
                elif keyword != "enum" and "(" in self.words(head, at) and self.at(at - 1) != "=" \
                        and "KSTONE_GUARDED_BY" not in self.words(head, at):
                    self._function(head, at, owner)
                at = closing
                if self.at(at + 1) != ";":
                    first = at + 1
            elif text == ";":
                if "=" in self.words(first, at) or "{" in self.words(first, at):
                    self.members.append((owner, first, at))
                first = at + 1
            elif text == ":" and self.at(at - 1) in ("public", "private", "protected"):
                first = at + 1
            at += 1

    def _without_template(self, first, end):
        while self.at(first) == "template":
            depth, first = 0, first + 1
            while first < end:
                depth += {"<": 1, ">": -1, ">>": -2}.get(self.at(first), 0)
                first += 1
                if depth == 0:
                    break
        if self.at(first) == "alignas":
            first = self.partner[first + 1] + 1
        return first

    def _function(self, head, brace, owner):
        name = owner
        for index in range(head, brace):
            if self.at(index) == "(":
                name = self.at(index - 1)
                if self.at(index - 2) == "~":
                    name = "~" + name
                break
        words = self.words(head, brace)
        until = words.index("(") if "(" in words else 0
        is_constructor = name == owner or re.search(r"(\w+)(<\w+>)?::\1$", "".join(words[:until]))
        self.returns_nothing[brace] = bool({"void", "~"} & set(words[:until]) or is_constructor)
        body = self._block(brace)
        self.functions.append((name, body))

    def _block(self, brace):
        closing = self.partner[brace]
        block = Statement("block", brace, closing + 1)
        at = brace + 1
        while at < closing:
            statement = self._statement(at)
            block.children.append(statement)
            at = statement.last
        return block

    def _statement(self, at):
        first, text = at, self.at(at)
        if text == "{":
            return self._block(at)
        if text in ("if", "while", "for", "switch"):
            opening = at + 1
            if self.at(opening) == "constexpr":
                opening += 1
            closing = self.partner[opening]
            at = closing + 1
            if self.at(at) == "[":  # [[unlikely]]
                at = self.partner[at] + 1
            body = self._statement(at)
            node = Statement(text, first, body.last, (opening + 1, closing), [body])
            if text == "if" and self.at(node.last) == "else":
                node.else_at = node.last
                node.otherwise = self._statement(node.last + 1)
                node.last = node.otherwise.last
            return node
        if text == "do":
            body = self._statement(at + 1)
            opening = body.last + 1
            closing = self.partner[opening]
            return Statement("do", first, closing + 2, (opening + 1, closing), [body])
        if text == "try":
            node = Statement("try", first, 0, None, [self._block(at + 1)])
            at = node.children[0].last
            while self.at(at) == "catch":
                handler = self._block(self.partner[at + 1] + 1)
                node.children.append(handler)
                at = handler.last
            node.last = at
            return node
        if text in ("case", "default"):
            while self.at(at) != ":":
                at += 1
            return Statement("case", first, at + 1)
        inner = []
        while self.at(at) != ";":
            if self.at(at) == "{" and self._is_body(at):
                inner.append(self._block(at))
                at = self.partner[at]
            elif self.at(at) == "{" and "struct" in self.words(first, at):
                self._scope(at + 1, self.partner[at], self.at(at - 1))
                at = self.partner[at]
            elif self.at(at) in "([":
                # Bodies of lambdas among the arguments.
                for index in range(at, self.partner[at]):
                    if self.at(index) == "{" and self._is_body(index):
                        inner.append(self._block(index))
                at = self.partner[at]
            at += 1
        kind = "simple"
        if text == "return":
            kind = "return"
        elif text in ("break", "continue", "throw"):
            kind = "jump"
        elif text in ("using", "struct", "static_assert"):
            kind = "other"
        elif self._is_declaration(first, at):
            kind = "declaration"
        return Statement(kind, first, at + 1, None, inner)

    def _is_body(self, brace):
        before = self.at(brace - 1)
        if before == "]":
            return True
        if before != ")":
            return False
        opening = self.partner[brace - 1]
        return self.at(opening - 1) in ("]",) or self.at(opening - 1).startswith("KSTONE_")

    def _is_declaration(self, first, end):
        text = self.source(first, end)
        declares = re.match(r"(?:const |constexpr |static |auto\b)|"
                            r"[\w:]+(?:<[^;=()]*>)?[&*]*\s+[&*]?\w+\s*(?:[=({;]|$)", text)
        return bool(declares) and not text.startswith("return")

    def source(self, first, last):
        return self.text[self.tokens[first].start:self.tokens[last - 1].end] if last > first else ""

    def line(self, index):
        return self.text.count("\n", 0, self.tokens[index].start) + 1


def one_line(text):
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"\s+", " ", text).strip()


class Engine:
    def __init__(self, source, facts, enumerations):
        self.source, self.facts, self.enumerations = source, facts, enumerations
        self.found = []
        self.function, self.scope = "", None

    def replace(self, operator, first, last, after, before=None):
        """Replaces the tokens first..last by a text."""
        source = self.source
        start, end = source.tokens[first].start, source.tokens[last - 1].end
        old = source.text[start:end]
        if one_line(old) == one_line(after):
            return
        self.found.append(Mutant(source.file, source.line(first), self.function, operator,
                                 before if before is not None else one_line(old), one_line(after),
                                 [(source.file, start, end, after)]))

    def run(self):
        for name, body in self.source.functions:
            self.function = name
            self.scope = order.Scope.of(self.facts, self.source.text,
                                        self.source.source(body.first, body.last))
            self.block(body, is_function=True)
        for owner, first, last in self.source.members:
            self.function = owner
            self.member(first, last)
        return self.found

    # -- Statements --------------------------------------------------------------------------------

    def block(self, block, is_function=False):
        children = block.children
        for index, child in enumerate(children):
            self.statement(child, last_of_function=is_function and index == len(children) - 1)
        for one, two in zip(children, children[1:]):
            self.swap(one, two)

    def statement(self, node, last_of_function=False):
        source = self.source
        text = one_line(source.source(node.first, node.last))
        if node.kind == "block":
            self.block(node)
            return
        if is_check(text):
            return
        if node.kind in ("simple", "jump") or (node.kind == "return" and not last_of_function):
            if not text.startswith("log("):
                self.replace("delete", node.first, node.last, ";", before=text)
            else:
                self.replace("delete", node.first, node.last, ";", before=text[:40])
                return
        if node.kind == "declaration" and "ScopedLock" in text:
            self.replace("delete", node.first, node.last, "", before=text)
        if node.kind in ("if", "while", "do"):
            self.condition(node)
        if node.kind == "while":
            body = node.children[0]
            if not any(jump in source.words(body.first, body.last)
                       for jump in ("break", "continue")):
                self.replace("while to if", node.first, node.first + 1, "if",
                             before=one_line("while (" + source.source(*node.condition) + ")"))
        if node.kind == "do":
            self.replace("loop once", node.condition[0], node.condition[1],
                         "((void)(" + source.source(*node.condition) + "), false)")
        if node.kind in ("simple", "return", "declaration", "for"):
            last = node.condition[1] if node.kind == "for" else node.last
            nested = [(child.first, child.last)
                      for child in node.children] if node.kind != "for" else []
            self.expression(node.first, last, whole=False, skip=nested)
        if node.kind == "return":
            self.returned(node)
        if node.otherwise is not None:
            self.replace("delete else", node.else_at, node.last, "",
                         before=one_line(source.source(node.else_at, node.last))[:60])
            self.statement(node.otherwise)
        for child in node.children:
            if node.kind in ("simple", "declaration", "return"):
                self.block(child, is_function=True)  # the body of a lambda
            else:
                self.statement(child)

    def returned(self, node):
        source = self.source
        text = source.source(node.first + 1, node.last - 1)
        if re.search(r"&&|\|\||[!=]= |>= |<= ", text) and "?" not in text and "," not in text:
            self.replace("negate", node.first + 1, node.last - 1, f"!({text})")

    def condition(self, node):
        source = self.source
        first, last = node.condition
        text = source.source(first, last)
        self.replace("negate", first, last, f"!({text})")
        if node.kind == "if":
            self.replace("condition true", first, last,
                         f"((void)({text}), true)" if "(" in text else "true",
                         before=one_line(text))
            self.replace("condition false", first, last, "false", before=one_line(text))
        else:
            self.replace("condition false", first, last, "false", before=one_line(text))
        self.expression(first, last, whole=True)

    # -- Expressions -------------------------------------------------------------------------------

    def expression(self, first, last, whole, skip=()):
        source = self.source
        for index in range(first, last):
            if any(start <= index < end for start, end in skip):
                continue
            token = source.tokens[index]
            text = token.text
            spaced = (source.text[token.start - 1] == " "
                      and source.text[token.end:token.end + 1] in (" ", "\n"))
            if text in ("&&", "||") and spaced:
                self.logical(first, last, index)
            elif text in ("<", "<=", ">", ">=") and spaced:
                self.around("boundary", index, {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}[text],
                            first, last)
            elif text in ("==", "!="):
                only = whole and not any(word in ("&&", "||") for word in source.words(first, last))
                if not only:
                    self.around("equality", index, {"==": "!=", "!=": "=="}[text], first, last)
            elif text in ("+", "-") and spaced:
                self.around("arithmetic", index, {"+": "-", "-": "+"}[text], first, last)
                ends = source.at(index + 2) in (")", ";", ",", "]")
                if source.tokens[index + 1].text == "1" and ends:
                    self.replace("drop the one", index - 1, index + 2, source.at(index - 1),
                                 before=one_line(self.neighbourhood(index)))
            elif text in ("++", "--"):
                self.step(index, last)
            elif text in ("+=", "-="):
                self.around("arithmetic", index, {"+=": "-=", "-=": "+="}[text], first, last)
            elif text in ("true", "false"):
                self.around("flip", index, {"true": "false", "false": "true"}[text], first, last)
            elif text == "notify_all":
                self.around("notify one", index, "notify_one", first, last)
            elif text in ("fetch_add", "fetch_sub"):
                self.around("arithmetic", index,
                            {"fetch_add": "fetch_sub", "fetch_sub": "fetch_add"}[text], first, last)
            elif text == "max" and source.at(index - 1) == "::" and source.at(index + 1) == "(":
                self.around("minimum", index, "min", first, last)
            elif text == "?" and spaced:
                self.ternary(first, last, index)
            elif text == "!" and not whole:
                self.around("drop not", index, "", first, last)
            elif token.kind == "number" and re.fullmatch(r"\d+", text):
                self.number(index, first, last)
            elif token.kind == "word" and source.at(index - 1) == "::" and source.at(
                    index - 2) in self.enumerations:
                after = self.enumerations[source.at(index - 2)].get(text)
                if after:
                    self.around("enumerator", index, after, first, last)

    def neighbourhood(self, index, width=4):
        source = self.source
        first = max(0, index - width)
        last = min(len(source.tokens), index + width + 1)
        return source.source(first, last)

    def around(self, operator, index, after, first, last):
        """Replaces one token, and names the mutant by what stands around it."""
        source = self.source
        low, high = max(first, index - 6), min(last, index + 6)
        left = source.text[source.tokens[low].start:source.tokens[index].start]
        right = source.text[source.tokens[index].end:source.tokens[high - 1].
                            end] if high > index + 1 else ""
        self.replace(operator, index, index + 1, after,
                     before=one_line(left + source.at(index) + right))
        if self.found:
            self.found[-1].after = one_line(left + after + right)

    def logical(self, first, last, index):
        """Drops either operand of && and ||, and exchanges the operator."""
        source = self.source
        op = source.at(index)
        self.around("and-or", index, {"&&": "||", "||": "&&"}[op], first, last)
        low = self.operand_end(index, first, -1, op)
        high = self.operand_end(index, last, +1, op)
        if high > index + 1 > low + 1:
            whole = one_line(source.source(low, high))
            self.replace("drop operand", low, index + 1, "", before=whole)
            self.found[-1].after = one_line(source.source(index + 1, high))
            self.replace("drop operand", index, high, "", before=whole)
            self.found[-1].after = one_line(source.source(low, index))

    def operand_end(self, index, limit, direction, op):
        source = self.source
        stops = {"&&", "||", "?", ":", "=", ";", ",", "return", "(", ")", "{", "}"}
        at = index + direction
        while (at >= limit if direction < 0 else at < limit):
            text = source.at(at)
            if direction > 0 and text in ("(", "[", "{"):
                at = source.partner[at]
            elif direction < 0 and text in (")", "]", "}"):
                at = source.partner[at]
            elif text in stops:
                break
            at += direction
        return at + 1 if direction < 0 else at

    def step(self, index, last):
        source = self.source
        end = index + 1
        while end < last and (source.tokens[end].kind == "word"
                              or source.at(end) in (".", "->", "[", "::")):
            end = source.partner[end] + 1 if source.at(end) == "[" else end + 1
        if end > index + 1 and source.tokens[index + 1].text != "i":
            operand = source.source(index + 1, end)
            sign, other = ("+", "--") if source.at(index) == "++" else ("-", "++")
            before = source.source(index, end)
            self.replace("step back", index, end, other + operand, before=before)
            self.replace("step twice", index, end, f"({operand} {sign}= 2)", before=before)

    def ternary(self, first, last, index):
        source = self.source
        depth, colon = 0, index + 1
        while colon < last:
            if source.at(colon) in CLOSING:
                colon = source.partner[colon]
            elif source.at(colon) == ":":
                break
            colon += 1
        low = self.operand_end(index, first, -1, "?")
        end = colon + 1
        while end < last and source.at(end) not in (")", ";", ",", "}"):
            end = source.partner[end] + 1 if source.at(end) in CLOSING else end + 1
        if low < index and end > colon + 1:
            one, two = source.source(index + 1, colon), source.source(colon + 1, end)
            self.replace("swap branches", index + 1, end, f"{two} : {one}",
                         before=one_line(source.source(low, end)))

    def number(self, index, first, last):
        source = self.source
        text = source.at(index)
        if source.at(index - 1) == "[" or source.at(index + 1) == "]":
            return
        if source.at(index - 1) in ("+", "-") and text == "1":
            after = "2"  # its removal is an operator of its own
        else:
            after = str(int(text) + 1)
        self.around("number", index, after, first, last)

    # -- Declarations of members -------------------------------------------------------------------

    def member(self, first, last):
        source = self.source
        text = source.source(first, last)
        if is_check(text) or text.startswith(("using", "friend", "template")):
            return
        names = [t.text for t in source.tokens[first:last] if t.kind == "word"]
        if {"operator", "delete", "default"} & set(names) or source.at(first) == "static_assert":
            return
        self.expression(first, last, whole=False)

    # -- Order -------------------------------------------------------------------------------------

    def swap(self, one, two):
        source = self.source
        movable = ("simple", "if", "for", "while", "declaration", "block")
        if one.kind not in movable or two.kind not in movable:
            return
        if one.kind == two.kind == "declaration":
            return
        if any(each.kind == "declaration" and not set("=({")
               & set(source.words(each.first, each.last)) for each in (one, two)):
            return  # it says a name, and does nothing
        first, second = source.source(one.first, one.last), source.source(two.first, two.last)
        if any(is_check(each) or each.startswith("log(") for each in (first, second)):
            return
        declared = re.match(r"(?:const )?(?:auto|[\w:<>]+)[&*]*\s+[&*]?(\w+)",
                            first) if one.kind == "declaration" else None
        if declared and re.search(rf"\b{declared[1]}\b", second):
            return
        if order.unseen(self.scope, first, second):
            return
        between = source.text[source.tokens[one.last - 1].end:source.tokens[two.first].start]
        gap = re.sub(r"//[^\n]*", "", between)
        self.replace("swap", one.first, two.last, second + gap + first,
                     before=one_line(first)[:60] + " <-> " + one_line(second)[:60])
        self.found[-1].after = ""


def is_check(text):
    """Assertions, and names for the histories of the model checker: no behaviour."""
    return text.startswith(("Sync::check(", "Sync::name(", "assert(", "static_assert"))


def mutants_of(source, facts, enumerations):
    """`enumerations`: name -> enumerator -> the next, as enumerations.py reads them."""
    file, text = source.file, source.text
    found = Engine(source, facts, enumerations).run()
    unique, seen = [], {}
    texts = set()
    for mutant in found:
        (_, start, end, after), = mutant.edits
        mutated = re.sub(r"\s+", " ", text[:start] + after + text[end:])
        if mutated in texts:
            continue
        texts.add(mutated)
        mutant.name = name_of(mutant)
        count = seen[mutant.name] = seen.get(mutant.name, 0) + 1
        if count > 1:
            mutant.name += f" #{count}"
        unique.append(mutant)
    return unique


def name_of(mutant):
    file = mutant.file.rsplit("/", 1)[-1]
    name = f"{file} {mutant.function}: {mutant.operator} `{mutant.before}`"
    if mutant.after not in ("", ";") and mutant.operator not in ("delete", "condition true",
                                                                 "condition false", "while to if"):
        name += f" => `{mutant.after}`"
    return name


def read_patches(folder):
    """The mutants made by hand: patches, each after a line with its name."""
    return [path.read_text() for path in sorted(folder.glob("*.patch"))]


def handwritten(patches, texts):
    """The mutants of these patches, and the complaints about those that do not fit."""
    found, stale = [], []
    for patch in patches:
        name = patch.partition("\n")[0].strip()
        after, complaint = patched(patch, texts)
        if complaint:
            stale.append(f"'{name}' does not fit: {complaint}")
            continue
        edits = [(file, *edit) for file in texts for edit in line_edits(texts[file], after[file])]
        if not edits:
            stale.append(f"'{name}' changes nothing")
            continue
        file, start = edits[0][:2]
        found.append(
            Mutant(file, texts[file].count("\n", 0, start) + 1, "", "by hand", name, "", edits,
                   name=f"by hand: {name}"))
    return found, stale


def patched(patch, texts):
    """The texts after the patch, which has to fit to the letter; and patch's complaint if it does
    not."""
    with tempfile.TemporaryDirectory() as folder:
        for file, text in texts.items():
            path = pathlib.Path(folder, file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run(
            ["patch", "-p1", "--fuzz=0", "--batch", "--no-backup-if-mismatch", "-r", "-"],
            cwd=folder, input=patch, capture_output=True, text=True)
        if done.returncode != 0:
            return None, one_line(done.stdout + done.stderr)[:200]
        return {file: pathlib.Path(folder, file).read_text() for file in texts}, None


def line_edits(before, after):
    """(start, end, text) for each run of lines that differs."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    offsets = [0, *itertools.accumulate(map(len, old))]
    return [(offsets[first], offsets[last], "".join(new[low:high]))
            for tag, first, last, low, high in difflib.SequenceMatcher(
                None, old, new, autojunk=False).get_opcodes() if tag != "equal"]


# -- Many mutants in one executable ----------------------------------------------------------------

SELECTOR = """
#include <cstdlib>
#include <type_traits>
inline const int kstone_mutant_number = [] {
  const char* text = std::getenv("KSTONE_MUTANT");
  return text == nullptr ? 0 : std::atoi(text);
}();
constexpr int kstone_mutant() noexcept {
  if (std::is_constant_evaluated()) {
    return 0;
  }
  return kstone_mutant_number;
}
"""


def outermost(source):
    """The bodies that lie in no other: (first offset, last offset, first token)."""
    spans = sorted((source.tokens[body.first].start, source.tokens[body.last - 1].end, body.first)
                   for _, body in source.functions)
    result = []
    for span in spans:
        if not result or span[0] >= result[-1][1]:
            result.append(span)
    return result


def is_selectable(mutant, sources):
    """Whether the mutant can share an executable with others, as the body of a function or an
    initializer."""
    for file, start, end, after in mutant.edits:
        source = sources[file]
        inside = any(first < start and end < last for first, last, _ in outermost(source))
        if not inside and not (mutant.operator in ("flip", "number")
                               and "constexpr" not in declaration(source, start)):
            return False
    return True


def declaration(source, offset):
    begin = max(source.text.rfind(mark, 0, offset) for mark in (";", "}", ":\n", "{\n"))
    return source.text[begin + 1:offset]


def applied(text, edits):
    for start, end, after in sorted(edits, reverse=True):
        text = text[:start] + after + text[end:]
    return text


def combine(source, mutants):
    """The source with every function in as many variants as it has mutants; KSTONE_MUTANT selects
    one. Each variant keeps its line numbers, under a file name that says which mutant it is, for
    the compiler's errors and the histories."""
    text, pieces, at = source.text, [], 0
    spans = outermost(source)
    by_span, initializers = {}, {}
    for mutant in mutants:
        for file, start, end, after in mutant.edits:
            if file != source.file:
                continue
            span = next((s for s in spans if s[0] < start and end < s[1]), None)
            if span is None:
                initializers.setdefault((start, end), []).append((mutant, after))
            else:
                by_span.setdefault(span, {}).setdefault(mutant.number, []).append(
                    (start, end, after))
    edits = []
    for span, variants in by_span.items():
        first, last, token = span
        # In a constant expression no variable may be read, and no mutant is selected.
        head = text[max(text.rfind(mark, 0, first) for mark in (";", "}", "{")):first]
        selected = "::kstone_mutant()" if "constexpr" in head else "::kstone_mutant_number"
        line = text.count("\n", 0, first) + 1
        low, high = min(variants), max(variants)
        parts = [f"{{ if ({selected} >= {low} && {selected} <= {high}) {{\n"]
        for number, changes in sorted(variants.items()):
            body = applied(text[first:last], [(s - first, e - first, a) for s, e, a in changes])
            end = "return;" if source.returns_nothing[token] else "__builtin_trap();"
            parts.append(
                f'if ({selected} == {number})\n#line {line} "mutant/{number}/{source.file}"\n'
                f"{{ {body}\n {end} }}\n")
        parts.append(f'}}\n#line {line} "{source.file}"\n{text[first:last]} }}')
        edits.append((first, last, "".join(parts)))
    for (start, end), variants in initializers.items():
        value = text[start:end]
        for mutant, after in variants:
            value = f"(::kstone_mutant() == {mutant.number} ? {after} : {value})"
        edits.append((start, end, value))
    return f'#line 1 "{source.file}"\n' + applied(text, edits)
