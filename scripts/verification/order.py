"""Whether anybody can see in which order two adjacent statements run.

Nobody can if both touch only what one hold of the mutex guards, or local values, and neither writes
what the other touches. What the words for that are is read off the sources: the cells that a mutex
guards, the members that never change, and the functions that change nothing. Whatever is not
understood can be seen. """

import re
from dataclasses import dataclass, field

CHAIN = re.compile(
    r"(?<![\w.:>])(?P<before>\+\+|--)?(?P<root>[A-Za-z_]\w*(?:::\w+)*)"
    r"(?P<path>(?:\s*(?:\(\)|\[[^\[\]]*\])?\s*(?:\.|->)\s*\w+)*)\s*"
    r"(?P<after>\(|\+\+|--|[-+|&]?=(?!=)|\{)?")
JUMPS = re.compile(r"\b(?:return|break|continue|throw|goto)\b")
WORDS = {
    "if", "else", "for", "while", "switch", "case", "const", "constexpr", "auto", "static_cast",
    "true", "false", "bool", "unlikely", "sizeof", "nullptr", "unsigned", "int", "void", "default"
}


@dataclass
class Facts:
    """Names, as the sources use them."""
    guarded: set = field(default_factory=set)    # cells that a mutex guards
    conditions: set = field(default_factory=set)  # condition variables
    fixed: set = field(default_factory=set)      # members that never change
    const: set = field(default_factory=set)      # functions that change nothing

    @staticmethod
    def of(texts):
        facts = Facts()
        for text in texts:
            facts.guarded |= set(re.findall(r"\b(\w+_) KSTONE_GUARDED_BY", text))
            facts.conditions |= set(re.findall(r"\bcondition_variable (\w+_);", text))
            facts.fixed |= set(
                re.findall(r"^ +const (?!std::unique_ptr)[\w:<> ]+ (\w+_)(?:\{\})?;", text, re.M))
            facts.const |= set(re.findall(r"\b(\w+)\([^()]*\) const\b", text))
        facts.const -= {"write"}
        return facts


class Unknown(Exception):
    pass


@dataclass
class Scope:
    """Of one function: its file's kind, and the references that it has declared."""
    facts: Facts
    # the file locks nothing and orders nothing: all of it is called under the mutex
    pure: bool
    aliases: dict

    @staticmethod
    def of(facts, text, body):
        scope = Scope(facts, not re.search(r"\bmutex_|memory_order_", text), {})
        for name, target in re.findall(r"\bauto& (\w+) = ([^;]+);", body):
            try:
                scope.aliases[name] = scope.place(target)
            except Unknown:
                pass
        return scope

    def place(self, text):
        """state_.write().core.x -> (core, x): where a chain leads, from what is guarded."""
        steps = [
            step for step in re.split(r"\.|->", re.sub(r"\(\)|\[[^\]]*\]|\s", "", text)) if step
        ]
        root, rest = steps[0], steps[1:]
        if root in self.facts.guarded and rest and rest[0] in ("read", "write"):
            return tuple(rest[1:])
        if root in self.aliases:
            return self.aliases[root] + tuple(rest)
        if root in self.facts.conditions or (root.endswith("_")
                                             and self.pure) or not root.endswith("_"):
            return (root, *rest)
        raise Unknown(text)

    def accesses(self, text):
        """(what the statement reads, what it writes), each a set of places."""
        text = re.sub(r'"(?:[^"\\]|\\.)*"', "0", re.sub(r"//[^\n]*", "", text))
        if JUMPS.search(text):
            raise Unknown(text)
        reads, writes = set(), set()
        declared = re.match(r"(?:const )?(?:auto|bool|[\w:]+(?:<[^=;]*>)?)[&*]? (\w+)(?: =|\{)",
                            text)
        for found in CHAIN.finditer(text):
            root, path, after = found["root"], found["path"], found["after"]
            called = after == "("
            if root in self.facts.fixed and called:
                raise Unknown(text)  # a handle of something that is shared
            if root in WORDS or root in self.facts.fixed or (declared and root == declared[1]):
                continue
            if "::" in root or re.match(r"[A-Z]|uint", root):
                # a type, an enumerator, a constant, or a pure function of the standard library
                continue
            if called and not path:
                if not self.pure:
                    raise Unknown(text)  # a function of the shell
                (reads if root in self.facts.const else writes).add(())
                continue
            place = self.place(root + path)
            if place[:1] and place[0] in self.facts.conditions:
                if len(place) < 2 or not place[1].startswith("notify_"):
                    raise Unknown(text)
                writes.add(place[:1])
                continue
            changes = found["before"] or after in ("++", "--") or (after or "").endswith("=")
            if called and place:
                name, place = place[-1], place[:-1]
                changes = name not in self.facts.const
                if not place and not self.pure:
                    raise Unknown(text)
            (writes if changes else reads).add(place)
        if declared:
            writes.add((declared[1],))
        return reads, writes


def overlap(one, two):
    """Whether some place is in both. () is what an object's own function touches: any of its
    members."""
    def meet(a, b):
        if a == () or b == ():
            return (a or b) == () or (a or b)[0].endswith("_")
        return a[:len(b)] == b or b[:len(a)] == a

    return any(meet(a, b) for a in one for b in two)


def unseen(scope, one, two):
    try:
        (reads_one, writes_one), (reads_two, writes_two) = scope.accesses(one), scope.accesses(two)
    except Unknown:
        return False
    return not overlap(writes_one, reads_two | writes_two) and not overlap(writes_two, reads_one)
