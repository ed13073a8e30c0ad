#!/usr/bin/env python3
"""Counts patterns of unclear English in the prose of the files that git tracks, and fails over a limit.

A limit is a number of places per 1,000 words, near the rate of well-written projects (kube-rs, cargo, ripgrep, Spin).
It holds for the whole tree and, rounded up to a whole place, for each area: a folder of the top level, or of `host`,
`plugins` and `tests`.
"""

import argparse
import re
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from fnmatch import fnmatch
from math import ceil
from pathlib import Path, PurePath

from prose import WORD, Piece, pieces, repeating_docs


@dataclass
class Rule:
    """A pattern, and how many places per 1,000 words it may have."""

    pattern: re.Pattern[str]
    limit: float
    advice: str
    asks: bool = False
    """Whether the words are fine in a question."""


def rule(pattern: str, limit: float, advice: str, asks: bool = False) -> Rule:
    """Return a rule; each blank of the pattern matches any white space."""
    return Rule(re.compile(rf"\b(?:{pattern})\b".replace(" ", r"\s+"), re.IGNORECASE), limit, advice, asks)


END = r"(?=\s*(?:[.,;:)\"`]|$|\n\s*\n))"
# The rule that is counted by the items that doc comments belong to.
REPEATS = "repeats"
RULES = {
    "what": rule("what(?:ever|soever)?", 1.5, "name the subject: the webhook's Service", asks=True),
    "who": rule("who(?:ever|m|mever)?", 0.3, "name the role: user, author, owner", asks=True),
    "tell": rule("tell|tells|told|telling", 0.3, "report, print, show, list, return"),
    "say": rule("says?|said|saying|speaks?|spoken?|speaking", 3.0, "report, print, show, list, return"),
    "is-no": rule(r"(?<!there\s)(?:is|are|was|were) no(?! (?:longer|more than|less than))", 0.5, "is not a"),
    "where": rule("where", 2.5, "if, when; where is for places", asks=True),
    "nobody": rule("(?:no|some|any|every)body", 0.3, "name the role: user, author, owner"),
    "by-itself": rule("by (?:itself|themselves|oneself)", 0.3, "automatically, alone"),
    "as-it-is": rule("as (?:it|they) (?:is|are|was|were)" + END, 0.3, "unchanged"),
    "double-of": rule(r"of (?:the|a|an|its|their) [\w-]+['\u2019]s" + END, 0.3, "of the target, the target's address"),
    REPEATS: rule("(?!)", 0.5, "leave out a doc comment that only repeats the name"),
    "may-not": rule("may not", 0.5, "cannot; must not for a rule"),
}
# The files of the top level, as git names them.
TOP = ":(glob)*"
COMMAND = "tests/scripts/words.py --list"
SKIPPED = (
    "*/fixtures/*",
    "*/snapshots/*",
    "*/tests/charts/*",
    "*lock.*",
    "*LICENSE*",
    "*CODE_OF_CONDUCT.md",
    "*STYLE.md",
    "*GLOSSARY.md",
    # Its examples break the rules.
    "*words_test.py",
)
DIVIDED = ("host", "plugins", "tests")
SENTENCE_END = re.compile(r"[.?!](?=[\s\"')*_]|$)|\n[ \t]*(?:\n|[-*|#])")


@dataclass
class Place:
    """A line with a pattern."""

    rule: str
    path: str
    line: int
    text: str


def area_of(path: PurePath) -> str:
    """Return the area of a file."""
    depth = 2 if path.parts[0] in DIVIDED else 1
    return "/".join(path.parts[:-1][:depth]) or "."


def is_question(text: str, position: int) -> bool:
    """Return whether the sentence around the position ends in a question mark."""
    end = SENTENCE_END.search(text, position)
    return end is not None and end[0] == "?"


def places(path: str, text: str, found: list[Piece]) -> list[Place]:
    """Return the places of a file that break a rule, in the order of lines."""
    lines = text.splitlines()
    result = []
    if path.endswith(".rs"):
        for offset in repeating_docs(text):
            line = text.count("\n", 0, offset) + 1
            result.append(Place(REPEATS, path, line, lines[line - 1].strip()))
    for name, rule in RULES.items():
        for piece in found:
            for match in rule.pattern.finditer(piece.text):
                if not (rule.asks and is_question(piece.text, match.end())):
                    line = text.count("\n", 0, piece.offset + match.start()) + 1
                    result.append(Place(name, path, line, lines[line - 1].strip()))
    return sorted(result, key=lambda place: place.line)


def tracked(root: Path, below: list[str]) -> list[str]:
    """Return the files that git tracks and that were written for this project."""
    patterns = [TOP if name == "." else name for name in below]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=root, check=True, capture_output=True
    ).stdout
    paths = [name for name in listed.decode().split("\0") if name]
    return [path for path in paths if not any(fnmatch(path, skipped) for skipped in SKIPPED)]


def read(root: Path, below: list[str]) -> tuple[Counter[str], list[Place]]:
    """Return the number of words in each area, and all places that break a rule."""
    words: Counter[str] = Counter()
    found = []
    for path in tracked(root, below):
        file = root / path
        if not file.is_file() or file.is_symlink():
            continue
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        prose = pieces(PurePath(path), text)
        if prose:
            words[area_of(PurePath(path))] += sum(len(WORD.findall(piece.text)) for piece in prose)
        found += places(path, text, prose)
    return words, found


def measured(words: Counter[str], found: list[Place]) -> tuple[list[str], list[str]]:
    """Return the table of rates, and a message for each rule over its limit."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for place in found:
        counts[area_of(PurePath(place.path))][place.rule] += 1
    table = [
        f"{'area':<18}{'words':>7}" + "".join(f"{name:>12} " for name in RULES),
        f"{'':<25}" + "".join(f"{rule.limit:>12} " for rule in RULES.values()),
    ]
    over = []
    for area in sorted(words):
        cells = ""
        for name, rule in RULES.items():
            count = counts[area][name]
            allowed = ceil(rule.limit * words[area] / 1000)
            if count > allowed:
                over.append(f"{area}: {count} of `{name}`, at most {allowed} ({rule.advice}): {COMMAND} {name} {area}")
            cells += cell(count, words[area], count > allowed)
        table.append(f"{area:<18}{words[area]:>7}{cells}")
    cells = ""
    for name, rule in RULES.items():
        count, total = sum(counts[area][name] for area in words), words.total()
        is_over = count * 1000 > rule.limit * total
        if is_over:
            over.append(
                f"all: {count} of `{name}`, at most {rule.limit} in 1,000 words ({rule.advice}): {COMMAND} {name}"
            )
        cells += cell(count, total, is_over)
    return [*table, f"{'all':<18}{words.total():>7}{cells}"], over


def cell(count: int, words: int, is_over: bool) -> str:
    """Return a count and its rate per 1,000 words, marked if over the limit."""
    return f"{count:>6} {1000 * count / max(words, 1):>5.1f}{'!' if is_over else ' '}"


def main() -> int:
    """Print the table or the places; return 1 if a rule is over its limit."""
    # A pager that ends early, such as `head`, ends this too.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="list the places as path:line: text, and always succeed")
    parser.add_argument("names", nargs="*", metavar="RULE|PATH", help=f"only these: {', '.join(RULES)}, or a folder")
    arguments = parser.parse_args()
    chosen = [name for name in arguments.names if name in RULES]
    below = [name for name in arguments.names if name not in RULES]
    top = subprocess.run(["git", "rev-parse", "--show-toplevel"], check=True, capture_output=True, text=True).stdout
    words, found = read(Path(top.rstrip("\n")), below)
    if arguments.list:
        for place in found:
            if place.rule in chosen or not chosen:
                name = "" if len(chosen) == 1 else f"{place.rule}: "
                print(f"{place.path}:{place.line}: {name}{place.text}")
        return 0
    table, over = measured(words, found)
    print("\n".join(table))
    for line in over:
        print(line)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
