"""GBNF as llama.cpp reads it, for tests: which texts a grammar takes, and random texts it takes.

Written from the notation's guide and the rules its parser keeps (see ``runtime.generation.grammars.gbnf``); a grammar
that llama.cpp would refuse is an AssertionError here.
"""

from __future__ import annotations

import string
from random import Random

WORD = set(string.ascii_letters + string.digits + "-")
MOST = 2000


class Acceptor:
    def __init__(self, text: str) -> None:
        self.rules: dict[str, list[int]] = {}
        self.alternatives: list[tuple] = []
        self.symbols = 0
        self.text, self.at = text, 0
        self.space(True)
        while self.at < len(text):
            self.rule()
        for alternative in self.alternatives:
            for kind, content in alternative:
                assert kind != "rule" or content in self.rules, f"no rule {content}"
        assert "root" in self.rules
        self.refuse_left_recursion()
        self.known: dict[tuple, frozenset] = {}

    # Reading

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def space(self, lines: bool) -> None:
        while self.peek() and self.peek() in (" \t\r\n" if lines else " \t"):
            self.at += 1

    def name(self) -> str:
        start = self.at
        while self.peek() in WORD and self.peek():
            self.at += 1
        assert self.at > start, f"a name is missing at {self.text[start : start + 20]!r}"
        return self.text[start : self.at]

    def rule(self) -> None:
        name = self.name()
        assert name not in self.rules, f"two rules {name}"
        self.space(False)
        assert self.text.startswith("::=", self.at)
        self.at += 3
        self.space(True)
        self.rules[name] = self.options(False)
        assert self.peek() in ("\n", ""), f"a line end is missing at {self.text[self.at : self.at + 20]!r}"
        self.space(True)

    def options(self, nested: bool) -> list[int]:
        found = [self.sequence(nested)]
        while self.peek() == "|":
            self.at += 1
            self.space(True)
            found.append(self.sequence(nested))
        return [self.kept(option) for option in found]

    def kept(self, alternative: list) -> int:
        self.alternatives.append(tuple(alternative))
        return len(self.alternatives) - 1

    def made(self, options: list[list]) -> tuple[str, str]:
        self.symbols += 1
        name = f"_{self.symbols}"
        self.rules[name] = [self.kept(option) for option in options]
        return ("rule", name)

    def sequence(self, nested: bool) -> list:
        out: list = []
        last, weight = 0, 1
        while letter := self.peek():
            if letter in "*+?{":
                out, weight = self.repeated(out, last, weight, nested)
                continue
            start, symbols = len(out), self.symbols
            if letter == '"':
                out += self.literal()
            elif letter == "[":
                out.append(self.letters())
            elif letter in WORD:
                out.append(("rule", self.name()))
            elif letter == "(":
                self.at += 1
                self.space(True)
                options = self.options(True)
                assert self.peek() == ")", "a ) is missing"
                self.at += 1
                self.symbols += 1
                name = f"_{self.symbols}"
                self.rules[name] = options
                out.append(("rule", name))
            else:
                break
            last, weight = start, max(1, self.symbols - symbols)
            self.space(nested)
        return out

    def repeated(self, out: list, last: int, weight: int, nested: bool) -> tuple[list, int]:
        assert last < len(out), "nothing to repeat"
        letter = self.peek()
        self.at += 1
        low, high = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(letter, (0, 0))
        if letter == "{":
            end = self.text.index("}", self.at)
            first, comma, second = self.text[self.at : end].partition(",")
            low = int(first)
            high = (int(second) if second else None) if comma else low
            self.at = end + 1
        self.space(nested)
        total = high or low or 1
        assert weight * total < MOST, "too many repetitions"
        unit = out[last:]
        body = unit * low
        if high is None:
            again = self.made([[], []])
            self.alternatives[self.rules[again[1]][0]] = (*unit, again)
            body.append(again)
        else:
            tail: list = []
            for _ in range(high - low):
                tail = [self.made([[*unit, *tail], []])]
            body += tail
        return out[:last] + body, weight * total

    def character(self) -> int:
        letter = self.peek()
        assert letter, "the text ends"
        self.at += 1
        if letter != "\\":
            return ord(letter)
        kind = self.peek()
        self.at += 1
        if kind in "xuU":
            size = {"x": 2, "u": 4, "U": 8}[kind]
            digits = self.text[self.at : self.at + size]
            self.at += size
            assert len(digits) == size
            return int(digits, 16)
        assert kind in 'trn\\"[]', f"unknown escape {kind}"
        return ord({"t": "\t", "r": "\r", "n": "\n"}.get(kind, kind))

    def literal(self) -> list:
        self.at += 1
        out = []
        while self.peek() != '"':
            point = self.character()
            out.append(("letters", ((point, point),)))
        self.at += 1
        return out

    def letters(self) -> tuple:
        self.at += 1
        assert self.peek() != "^", "the writer has no need of it"
        ranges = []
        while self.peek() != "]":
            low = high = self.character()
            if self.peek() == "-" and self.text[self.at + 1] != "]":
                self.at += 1
                high = self.character()
            assert 0 < low <= high
            ranges.append((low, high))
        self.at += 1
        assert ranges, "a class without characters"
        return ("letters", tuple(ranges))

    def empty(self) -> set[str]:
        """The rules that may stand for nothing."""
        found: set[str] = set()
        while True:
            more = {
                name
                for name, options in self.rules.items()
                if any(all(one in found for _, one in self.alternatives[option]) for option in options)
            }
            if more == found:
                return found
            found = more

    def refuse_left_recursion(self) -> None:
        empty = self.empty()
        first: dict[str, set[str]] = {name: set() for name in self.rules}
        for name, options in self.rules.items():
            for option in options:
                for kind, content in self.alternatives[option]:
                    if kind == "rule":
                        first[name].add(content)
                    if content not in empty:
                        break
        done: set[str] = set()
        for start in self.rules:
            path, waiting = [], [(start, False)]
            while waiting:
                name, leaving = waiting.pop()
                if leaving:
                    done.add(path.pop())
                elif name not in done:
                    assert name not in path, f"{name} begins with itself"
                    path.append(name)
                    waiting.append((name, True))
                    waiting += [(inner, False) for inner in first[name]]

    # Following

    def states(self, stack: tuple) -> frozenset:
        """All stacks that wait for a character, or are empty, from one."""
        if stack not in self.known:
            found, waiting, seen = set(), [stack], {stack}
            while waiting:
                top = waiting.pop()
                if not top:
                    found.add(top)
                    continue
                option, at = top[-1]
                alternative = self.alternatives[option]
                if at == len(alternative):
                    following = [top[:-1]]
                elif alternative[at][0] == "letters":
                    found.add(top)
                    continue
                else:
                    rest = top[:-1] + (((option, at + 1),) if at + 1 < len(alternative) else ())
                    following = [(*rest, (inner, 0)) for inner in self.rules[alternative[at][1]]]
                for one in following:
                    if one not in seen:
                        seen.add(one)
                        waiting.append(one)
            self.known[stack] = frozenset(found)
        return self.known[stack]

    def start(self) -> set:
        return {state for option in self.rules["root"] for state in self.states(((option, 0),))}

    def step(self, states: set, letter: str) -> set:
        point, out = ord(letter), set()
        for stack in states:
            if stack:
                option, at = stack[-1]
                if any(low <= point <= high for low, high in self.alternatives[option][at][1]):
                    out |= self.states((*stack[:-1], (option, at + 1)))
        return out

    def after(self, text: str) -> set:
        states = self.start()
        for letter in text:
            states = self.step(states, letter)
            if not states:
                break
        return states

    def takes(self, text: str) -> bool:
        return () in self.after(text)

    def random_text(self, random: Random, longest: int = 400) -> str | None:
        """A text the grammar takes; None where the walk found no end in time."""
        states, out = self.start(), []
        while len(out) < longest:
            if () in states and random.random() < 0.5:
                return "".join(out)
            waiting = [stack for stack in states if stack]
            if not waiting:
                return "".join(out)
            # Short stacks are near the end.
            waiting.sort(key=len)
            option, at = waiting[int(len(waiting) * random.random() ** 2)][-1]
            low, high = random.choice(self.alternatives[option][at][1])
            letter = chr(random.randint(low, min(high, max(low, 0x17F))))
            states = self.step(states, letter)
            out.append(letter)
        return None
