"""Finds the prose in a source file: comments, strings that are sentences, names of tests, and the text of Markdown.

Every piece keeps the length and the line breaks of its source, so that an offset in the piece leads to a line of the
file. Code inside prose (fenced blocks, inline code, placeholders, links) is overwritten, and so counts as no words.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

WORD = re.compile(r"[A-Za-z][A-Za-z]*(?:['\u2019][A-Za-z]+)*")
# Two words with a blank between them.
SENTENCE = re.compile(r"[A-Za-z].*\s.*[A-Za-z]", re.DOTALL)
SHEBANG = re.compile(r"\A#![^\n]*")
FILLER = "`"

C_COMMENT = r"(?P<line>//[^\n]*)|(?P<open>/\*)"
# An unclosed quote on a line, such as an apostrophe in the text of a page, opens nothing.
QUOTED = r'"(?:[^"\\\n]|\\.)*"'
SINGLE_QUOTED = r"'(?:[^'\\\n]|\\.)*'"

RUST = re.compile(
    C_COMMENT
    + r"""|(?<!\w)[bc]?r(?P<hashes>\#*)"(?P<raw>.*?)"(?P=hashes)"""
    + r"""|(?P<string>"(?:[^"\\]|\\.)*")"""
    + r"""|'(?:[^'\\\n]|\\(?:u\{\w*\}|x..|.))'""",
    re.DOTALL,
)
SCRIPT = re.compile(f"{C_COMMENT}|(?P<string>{QUOTED}|{SINGLE_QUOTED})|`(?P<raw>(?:[^`\\\\]|\\\\.)*)`", re.DOTALL)
GO = re.compile(f"{C_COMMENT}|(?P<string>{QUOTED})|`(?P<raw>[^`]*)`|'(?:[^'\\\\\\n]|\\\\[^\\n]+?)'", re.DOTALL)
WIT = re.compile(C_COMMENT)
TOML = re.compile(
    r'(?P<line>#[^\n]*)|"""(?P<raw>.*?)"""|' + rf"'''.*?'''|(?P<string>{QUOTED}|'[^'\n]*')",
    re.DOTALL,
)
SHELL = re.compile(
    r"(?P<line>(?<![^\s;])\#[^\n]*)"
    r"|<<-?\s*(?P<quote>['\"]?)(?P<end>\w+)(?P=quote).*?\n[ \t]*(?P=end)[ \t]*(?=\n|\Z)"
    r"|\\.|(?P<string>\"(?:[^\"\\]|\\.)*\"|'[^']*')",
    re.DOTALL,
)
# Comments alone: the strings of these files are settings.
HASH = re.compile(r"(?P<line>(?<!\S)#[^\n]*)")

LANGUAGES = {
    ".rs": RUST,
    ".ts": SCRIPT,
    ".tsx": SCRIPT,
    ".js": SCRIPT,
    ".mjs": SCRIPT,
    ".go": GO,
    ".wit": WIT,
    ".toml": TOML,
    ".sh": SHELL,
    ".yaml": HASH,
    "Makefile": HASH,
    "Dockerfile": HASH,
}

NESTED = re.compile(r"/\*|\*/")
MARKER = re.compile(r"^[ \t]*(?:///?!?|/\*[*!]?|\*+/|\*(?=\s|$)|#+!?)|\*/$", re.MULTILINE)
ESCAPE = re.compile(r"\\(?:\n[ \t]*|x[0-9a-fA-F]{2}|u\{\w*\}|[nrt0\\])")
PREFIX = re.compile(r"\A[a-zA-Z]+(?=[\"'#])")
FENCE = re.compile(r"^[ \t>]*(```+|~~~+).*?(?:^[ \t>]*\1|\Z)", re.MULTILINE | re.DOTALL)
CODE = re.compile(
    r"<!--.*?-->"
    r"|(?P<ticks>`+)(?!`)(?:(?!\n\s*\n).)+?(?P=ticks)"
    r"|\]\([^)\s]*\)|https?://[^\s)>]+|\$?\{[^{}\n]*\}",
    re.DOTALL,
)
RUST_TEST = re.compile(
    r"\#\[\s*(?:\w+::)*test\b[^\]]*\]\s*(?:\#\[[^\]]*\]\s*)*(?:pub\s+)?(?:async\s+)?fn\s+(?P<name>\w+)"
)
SHORT_DOC = re.compile(
    r"^[ \t]*///(?P<doc>[^\n]*)\n(?:[ \t]*#\[[^\n]*\n)*[ \t]*(?!///|#\[)(?P<item>[^\n]*)", re.MULTILINE
)
# Longest doc comment that can repeat a name, in words.
REPEATING = 3
FILLING = {"the", "a", "an", "its", "of", "it", "is", "this", "whether"}
PAGE_TEXT = re.compile(r">(?P<text>[^<>{}=;]+)(?=[<{])")


@dataclass
class Piece:
    """Some prose: the offset in its file, and a text as long as its source."""

    offset: int
    text: str


def fill(match: re.Match[str]) -> str:
    """As many characters that are not part of a word, with the line breaks."""
    return re.sub(r"[^\n]", FILLER, match[0])


def blank(match: re.Match[str]) -> str:
    """As many blanks, with the line breaks."""
    return re.sub(r"[^\n]", " ", match[0])


def string(text: str) -> str:
    """The text of a string without its escapes and the letters before its quote."""
    return without_code(ESCAPE.sub(blank, PREFIX.sub(blank, text)))


def without_code(text: str) -> str:
    """The text with code overwritten."""
    return CODE.sub(fill, FENCE.sub(fill, text))


def comment(text: str) -> str:
    """The text of a comment without its markers."""
    return without_code(MARKER.sub(blank, text))


def end_of_comment(text: str, start: int, nests: bool) -> int:
    """The offset right after the block comment that begins at `start`."""
    depth = 0
    for edge in NESTED.finditer(text, start):
        if edge[0] == "*/":
            depth -= 1
        elif nests or depth == 0:
            depth += 1
        if depth == 0:
            return edge.end()
    return len(text)


def lexed(text: str, language: re.Pattern[str]) -> tuple[list[tuple[str, int, int]], str]:
    """Comments and strings as kind, start and end; and the code without them.

    Line comments on consecutive lines are one comment.
    """
    found: list[tuple[str, int, int]] = []
    code = []
    position = 0
    while match := language.search(text, position):
        start, end = match.span()
        groups = match.groupdict()
        if groups.get("line") is not None:
            kind = "line"
        elif groups.get("open") is not None:
            kind, end = "block", end_of_comment(text, start, nests=language is RUST)
        elif groups.get("string") is not None:
            kind = "string"
        elif groups.get("raw") is not None:
            kind = "raw"
        else:
            kind = "other"
        code += [text[position:start], re.sub(r"[^\n]", " ", text[start:end])]
        if kind == "line" and found and found[-1][0] == "line" and follows(text, found[-1], start):
            found[-1] = ("line", found[-1][1], end)
        else:
            found.append((kind, start, end))
        position = end
    code.append(text[position:])
    return found, "".join(code)


def follows(text: str, above: tuple[str, int, int], start: int) -> bool:
    """Whether a comment of the same kind stands alone on the next line."""
    between = text[above[2] : start]
    marker = re.compile(r"//[/!]?|#+")
    first, second = marker.match(text, above[1]), marker.match(text, start)
    return not between.strip() and between.count("\n") == 1 and bool(first and second and first[0] == second[0])


def repeating_docs(text: str) -> Iterator[int]:
    """Offsets of the doc comments in Rust that have at most three words, all of them from the item below."""
    for match in SHORT_DOC.finditer(text):
        is_single = not text[: match.start()].rstrip(" \t\n").rpartition("\n")[2].lstrip().startswith("///")
        words = [word.lower() for word in WORD.findall(match["doc"])]
        named = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", match["item"]).lower())
        meaning = [word for word in words if word not in FILLING]
        repeats = all(any(name.startswith(word[:4]) for name in named) for word in meaning)
        if repeats and is_single and words and len(words) <= REPEATING:
            yield match.start("doc")


def of_source(text: str, language: re.Pattern[str], is_page: bool) -> Iterator[Piece]:
    """The prose of a file in a language with comments and strings."""
    found, code = lexed(SHEBANG.sub(blank, text) if language is SHELL else text, language)
    for kind, start, end in found:
        source = text[start:end]
        if kind in ("line", "block"):
            yield Piece(start, comment(source))
        elif kind == "string" or (kind == "raw" and "\n" not in source):
            # A raw string over several lines is a document in another language.
            plain = string(source)
            if SENTENCE.search(plain) and (language is not SHELL or "\n" not in source):
                yield Piece(start, plain)
    if language is RUST:
        for test in RUST_TEST.finditer(code):
            yield Piece(test.start("name"), test["name"].replace("_", " "))
    if is_page:
        for shown in PAGE_TEXT.finditer(code):
            if SENTENCE.search(shown["text"]):
                yield Piece(shown.start("text"), shown["text"])


def of_python(text: str) -> Iterator[Piece]:
    """The prose of a Python file."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    opens_statement = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.NL, tokenize.ENCODING)
    comments: list[tuple[int, int]] = []
    before = tokenize.ENCODING
    name = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        start = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        if token.type == tokenize.COMMENT:
            if comments and text[comments[-1][1] : start].strip(" \t") == "\n":
                comments[-1] = (comments[-1][0], end)
            elif not token.string.startswith("#!"):
                comments.append((start, end))
            continue
        if token.type == tokenize.STRING:
            plain = string(token.string)
            is_document = "\n" in token.string and before not in opens_statement
            if SENTENCE.search(plain) and not is_document:
                yield Piece(start, plain)
        elif token.type == tokenize.NAME and name == "def" and token.string.startswith("test_"):
            yield Piece(start, token.string.replace("_", " "))
        before, name = token.type, token.string
    for start, end in comments:
        yield Piece(start, comment(text[start:end]))


def of_markdown(text: str) -> Iterator[Piece]:
    """The text of a page, without its blocks of code."""
    lines = []
    above = ""
    is_list = is_code = False
    for line in FENCE.sub(fill, text).splitlines(keepends=True):
        is_indented = line.startswith(("    ", "\t"))
        if re.match(r"\s*(?:[-*+]|\d+\.)\s", line):
            is_list = True
        elif line.strip() and not line.startswith((" ", "\t")):
            is_list = False
        is_code = is_indented and not is_list and (is_code or not above.strip())
        lines.append(re.sub(r"[^\n]", FILLER, line) if is_code and line.strip() else line)
        above = line
    yield Piece(0, CODE.sub(fill, "".join(lines)))


def language_of(path: PurePath, text: str) -> str:
    """A key of `LANGUAGES`, or `.py` or `.md`, or nothing."""
    first = SHEBANG.match(text)
    shebang = first[0] if first else ""
    for word, suffix in (("python", ".py"), ("sh", ".sh")):
        if shebang.endswith(word) or f"{word}3" in shebang:
            return suffix
    if path.suffix in (".py", ".md") or path.suffix in LANGUAGES:
        return path.suffix
    return path.name if path.name in LANGUAGES else ""


def pieces(path: PurePath, text: str) -> list[Piece]:
    """The prose of a file; none if its language is not known."""
    language = language_of(path, text)
    if language == ".py":
        return list(of_python(text))
    if language == ".md":
        return list(of_markdown(text))
    if language:
        return list(of_source(text, LANGUAGES[language], language == ".tsx"))
    return []
