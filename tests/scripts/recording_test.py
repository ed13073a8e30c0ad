"""The terminal that `recording.py` plays, and the picture that it draws."""

import re
import unittest
from xml.etree import ElementTree as Xml

from recording import COLUMNS, PAUSE, Screen, frames, run, shortened, svg


def text(screen: Screen) -> list[str]:
    """The lines of a screen."""
    return ["".join(character for character, _ in row) for row in screen.picture()]


class TerminalTest(unittest.TestCase):
    def test_lines_are_overwritten_and_erased(self) -> None:
        screen = Screen()
        screen.feed("one\r\ntwo\r\n\x1b[2A\x1b[2Kthree\r\n\x1b[1B\rfour")
        self.assertEqual(text(screen), ["three", "two", "four"])
        screen.feed("\x1b[1A\r\x1b[J")
        self.assertEqual(text(screen), ["three", ""])

    def test_a_sequence_may_come_in_two_parts(self) -> None:
        screen = Screen()
        rest = screen.feed("a\x1b[3")
        self.assertEqual(rest, "\x1b[3")
        self.assertEqual(screen.feed(rest + "2mb\x1b[0mc"), "")
        self.assertEqual(text(screen), ["abc"])
        self.assertEqual([style.colour for _, style in screen.picture()[0]], [None, 2, None])

    def test_a_long_line_is_broken(self) -> None:
        screen = Screen()
        screen.feed("x" * COLUMNS + "y")
        self.assertEqual(text(screen), ["x" * COLUMNS, "y"])


class RecordingTest(unittest.TestCase):
    def test_a_program_sees_a_terminal(self) -> None:
        output, code = run("test -t 1 && stty size && exit 3")
        self.assertEqual(code, 3)
        self.assertEqual("".join(part for _, part in output).split(), ["40", str(COLUMNS)])

    def test_pauses_are_shortened(self) -> None:
        played = shortened([(0.0, "a"), (90.0, "b"), (90.5, "c")])
        self.assertEqual(played, [(0, "a"), (PAUSE, "b"), (PAUSE + 0.5, "c")])


class PictureTest(unittest.TestCase):
    def drawn(self) -> str:
        return svg(frames([("todohost deploy", [(0.0, "building 1\r\n"), (3.0, "\x1b[1A\x1b[2Kdone <&>\r\n")])]))

    def setUp(self) -> None:
        self.text = self.drawn()
        self.lines = Xml.fromstring(self.text).findall("{http://www.w3.org/2000/svg}text")

    def test_it_is_the_same_each_time(self) -> None:
        self.assertEqual(self.drawn(), self.text)
        self.assertEqual(len(set(re.findall(r'dur="(\S+)s"', self.text))), 1)

    def test_the_end_is_visible_without_animations(self) -> None:
        visible = ["".join(line.itertext()) for line in self.lines if line.get("visibility") is None]
        self.assertEqual(visible, ["$ todohost deploy", "done <&>"])

    def test_a_line_that_changed_is_shown_for_its_time(self) -> None:
        (line,) = [line for line in self.lines if line.get("visibility") == "hidden"]
        self.assertEqual("".join(line.itertext()), "building 1")
        animations = [animation.get("values") for animation in line.iter("{http://www.w3.org/2000/svg}animate")]
        self.assertEqual(animations, ["hidden;visible;hidden"])


if __name__ == "__main__":
    unittest.main()
