"""recording.py PICTURE COMMAND...: runs shell commands in a pseudo-terminal and draws the session as an animated SVG.

The picture holds only text: each line of the terminal with the seconds in which it is visible. Viewers of SVG
animations play it in a loop; others show the end of the session. The same bytes at the same times give the same
picture. Pauses are shortened and names of this machine are replaced. A picture with a path of this machine is not
written.
"""

import codecs
import fcntl
import os
import pty
import re
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

COLUMNS = 110
ROWS = 40
# Seconds: the longest pause that is played, the time between two frames, and how long the end is shown.
PAUSE = 0.8
FRAME = 0.4
END = 6.0
# Pixels.
FONT, LINE, CHARACTER, MARGIN = 14, 20, 8.43, 16

COLOURS = {1: "#ff7b72", 2: "#7ee787", 3: "#e3b341", 4: "#79c0ff", 5: "#d2a8ff", 6: "#56d4dd", 7: "#c9d1d9"}
SEQUENCE = re.compile(r"\x1b(?:\[([0-9;?]*)([A-Za-z])|\].*?(?:\x07|\x1b\\)|[()].|[=>78])")


@dataclass(frozen=True)
class Style:
    """How a character looks."""

    colour: int | None = None
    bold: bool = False
    dim: bool = False

    def after(self, codes: Iterable[int]) -> "Style":
        """The style after a sequence that selects graphic renditions."""
        style = self
        for code in codes:
            if code == 0:
                style = Style()
            elif code in (1, 2, 22):
                style = Style(style.colour, code == 1, code == 2)
            elif 31 <= code <= 37 or 91 <= code <= 97:
                style = Style(code % 10, style.bold, style.dim)
            elif code in (30, 39, 90):
                style = Style(None, style.bold, style.dim or code == 90)
        return style


Cell = tuple[str, Style]
Row = tuple[Cell, ...]


@dataclass
class Screen:
    """A terminal of endless height that understands the sequences that command-line programs write."""

    rows: list[list[Cell]] = field(default_factory=lambda: [[]])
    row: int = 0
    column: int = 0
    style: Style = field(default_factory=Style)

    def feed(self, text: str) -> str:
        """Takes output; returns the rest that is the beginning of a sequence."""
        position = 0
        while position < len(text):
            if text[position] != "\x1b":
                self.put(text[position])
                position += 1
            elif match := SEQUENCE.match(text, position):
                if match[2]:
                    self.control(match[2], [int(code or 0) for code in match[1].lstrip("?").split(";")])
                position = match.end()
            else:
                return text[position:]
        return ""

    def put(self, character: str) -> None:
        """Writes one character at the cursor, or moves it."""
        if character == "\n":
            self.move(self.row + 1)
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character >= " ":
            if self.column == COLUMNS:
                self.move(self.row + 1)
                self.column = 0
            line = self.rows[self.row]
            line += [(" ", Style())] * (self.column + 1 - len(line))
            line[self.column] = (character, self.style)
            self.column += 1

    def move(self, row: int) -> None:
        """Moves the cursor to a row, which is made if it is below the last one."""
        self.row = max(0, row)
        self.rows += [[] for _ in range(self.row + 1 - len(self.rows))]

    def control(self, name: str, numbers: list[int]) -> None:
        """Obeys a control sequence; unknown ones do nothing."""
        first = numbers[0]
        line = self.rows[self.row]
        if name == "m":
            self.style = self.style.after(numbers)
        elif name == "A":
            self.move(self.row - max(1, first))
        elif name == "B":
            self.move(self.row + max(1, first))
        elif name == "C":
            self.column = min(COLUMNS - 1, self.column + max(1, first))
        elif name == "D":
            self.column = max(0, self.column - max(1, first))
        elif name == "G":
            self.column = min(COLUMNS, max(1, first)) - 1
        elif name == "K":
            if first == 0:
                del line[self.column :]
            elif first == 1:
                line[: self.column] = [(" ", Style())] * min(self.column, len(line))
            else:
                line.clear()
        elif name == "J" and first == 0:
            del line[self.column :]
            del self.rows[self.row + 1 :]

    def picture(self) -> tuple[Row, ...]:
        """The lines as they look now, without blanks at their ends."""
        rows = []
        for line in self.rows:
            end = len(line)
            while end and line[end - 1][0] == " ":
                end -= 1
            rows.append(tuple(line[:end]))
        return tuple(rows)


Output = list[tuple[float, str]]


def run(command: str) -> tuple[Output, int]:
    """Runs a command line in a pseudo-terminal: its output with the seconds since its start, and its exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
        os.environ.pop("NO_COLOR", None)
        os.execvp("bash", ["bash", "-c", command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    began, output = time.monotonic(), []
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        output.append((time.monotonic() - began, decoder.decode(data)))
    os.close(terminal)
    return output, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def shortened(output: Output) -> Output:
    """The output with no pause longer than `PAUSE`."""
    now, last, played = 0.0, 0.0, []
    for at, text in output:
        now += min(at - last, PAUSE)
        last = at
        played.append((now, text))
    return played


def frames(sessions: Iterable[tuple[str, Output]]) -> list[tuple[float, tuple[Row, ...]]]:
    """The pictures of the terminal with the second at which each begins; the last one is its end."""
    screen, taken, begin = Screen(), [], 0.0
    for command, output in sessions:
        typed = command.replace("\n", "\r\n")
        screen.feed(f"\x1b[0m\x1b[32m$\x1b[0m \x1b[1m{typed}\x1b[0m\r\n")
        taken.append((begin, screen.picture()))
        rest, now = "", 0.0
        begin += PAUSE
        for at, text in shortened(output):
            if begin + at - taken[-1][0] >= FRAME:
                taken.append((round(begin + at, 1), screen.picture()))
            rest, now = screen.feed(rest + text), at
        begin = round(begin + now + FRAME, 1)
        taken.append((begin, screen.picture()))
        screen.feed("\r\n")
        begin += PAUSE
    return [*taken, (round(taken[-1][0] + END, 1), taken[-1][1])]


@dataclass(frozen=True)
class Shown:
    """A line of the terminal, and from when to when it is visible."""

    number: int
    row: Row
    begin: float
    end: float


def lines(taken: list[tuple[float, tuple[Row, ...]]]) -> Iterator[Shown]:
    """Every line of the frames, once for as long as it stays the same."""
    begun: dict[int, tuple[float, Row]] = {}
    for at, rows in [*taken[:-1], (taken[-1][0], ())]:
        for number in sorted({*begun, *range(len(rows))}):
            row = rows[number] if number < len(rows) else ()
            since, old = begun.get(number, (at, ()))
            if row != old:
                if old:
                    yield Shown(number, old, since, at)
                begun[number] = (at, row)


def spans(row: Row) -> str:
    """The text of a line, with its colours."""
    runs: list[tuple[str, Style]] = []
    for character, style in row:
        if runs and (runs[-1][1] == style or character == " "):
            runs[-1] = (runs[-1][0] + character, runs[-1][1])
        else:
            runs.append((character, style))
    parts = []
    for text, style in runs:
        kinds = [f"c{style.colour}"] if style.colour else []
        kinds += ["b"] if style.bold else []
        kinds += ["d"] if style.dim else []
        safe = escape(text, quote=False)
        parts.append(f'<tspan class="{" ".join(kinds)}">{safe}</tspan>' if kinds else safe)
    return "".join(parts)


def svg(taken: list[tuple[float, tuple[Row, ...]]]) -> str:
    """The animated picture of these frames."""
    total = taken[-1][0]
    height = max(len(rows) for _, rows in taken)
    width = int(MARGIN * 2 + COLUMNS * CHARACTER)
    colours = "".join(f".c{number}{{fill:{colour}}}" for number, colour in COLOURS.items())
    drawn = []
    for shown in sorted(lines(taken), key=lambda shown: (shown.begin, shown.number)):
        place = f'x="{MARGIN}" y="{MARGIN + FONT + shown.number * LINE}"'
        stays = shown.end >= total
        times, values = [0.0, shown.begin, shown.end], ["hidden", "visible", "hidden"]
        if stays:
            times, values = times[:2], values[:2]
        if shown.begin <= 0:
            times, values = times[1:], values[1:]
        animation = ""
        if len(times) > 1:
            points = ";".join(f"{at / total:.4f}".rstrip("0").rstrip(".") or "0" for at in times)
            animation = (
                f'<animate attributeName="visibility" values="{";".join(values)}" keyTimes="{points}"'
                f' dur="{total:g}s" calcMode="discrete" repeatCount="indefinite"/>'
            )
        hidden = "" if stays else ' visibility="hidden"'
        drawn.append(f"<text {place}{hidden}>{spans(shown.row)}{animation}</text>")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{MARGIN * 2 + height * LINE}"'
            f' font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="{FONT}"'
            ' xml:space="preserve" role="img">',
            "<title>A deploy with todohost, recorded in a terminal</title>",
            f"<style>text{{fill:#c9d1d9;white-space:pre}}.b{{font-weight:bold}}.d{{fill:#8b949e}}{colours}</style>",
            '<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def private_names() -> dict[str, str]:
    """Names of this machine and of its user, each with its replacement."""
    names = {str(Path.cwd()): ".", str(Path.home()): "~", f"@{socket.gethostname()}": "@laptop"}
    return {name: new for name, new in names.items() if len(name) > 1}


def main() -> int:
    """The exit code: that of the first command that fails."""
    picture, commands = Path(sys.argv[1]), sys.argv[2:]
    sessions = []
    for command in commands:
        output, code = run(command)
        for _, text in output:
            sys.stderr.write(text)
        if code != 0:
            sys.stderr.write(f"recording: exit code {code} of {command}\n")
            return code
        sessions.append((command, output))
    text = svg(frames(sessions))
    for name, new in private_names().items():
        text = text.replace(name, new)
    left = [line for line in text.splitlines() if re.search(r"/(?:tmp|home|root|Users)/", line)]
    if left:
        sys.stderr.write(f"recording: the output names a path of this machine: {left[0]}\n")
        return 1
    picture.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
