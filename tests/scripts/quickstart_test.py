"""Scripts that `quickstart.py` makes of a page, and pages that it refuses."""

import unittest

from quickstart import PageError, script

PAGE = """# Page
<!-- run: docker-desktop -->
```sh
one
```
<!-- run: kind -->
```sh
two
```
<!-- seen -->
```text
two ran on docker-desktop in ... s
```
<!-- not run: it needs a hand -->
```sh
three
```
<!-- run: docker-desktop kind, exit code 2 -->
```sh
four
```
"""


class Quickstart(unittest.TestCase):
    def commands(self, page: str, target: str = "kind") -> list[str]:
        return script(page.splitlines(), target)

    def refused(self, page: str) -> str:
        with self.assertRaises(PageError) as refusal:
            self.commands(page)
        return str(refusal.exception)

    def test_marked_blocks_are_run_at_their_line(self) -> None:
        commands = self.commands(PAGE)
        self.assertIn("begin 8", commands)
        self.assertIn("two", commands)
        self.assertNotIn("one", commands)
        self.assertNotIn("three", commands)
        self.assertIn('expect 2 "$code"', commands)

    def test_seen_output_belongs_to_the_last_block(self) -> None:
        self.assertIn("seen 12", " ".join(self.commands(PAGE)))
        self.assertIn("on[[:space:]]+kind[[:space:]]+in", " ".join(self.commands(PAGE)))
        self.assertNotIn("seen", " ".join(self.commands(PAGE, "docker-desktop")))

    def test_block_without_a_mark_is_refused(self) -> None:
        for fence in ("```sh", "```text", "```", "```bash", "  ```sh"):
            self.assertIn("line 23: a block without a mark", self.refused(f"{PAGE}\n{fence}\nx\n```\n"))

    def test_unknown_mark_or_missing_reason_is_refused(self) -> None:
        for mark in ("<!-- seen -->", "<!-- not run: -->", "<!-- not run -->", "<!-- run: -->", "<!-- runs: kind -->"):
            self.assertIn("line 24: a block without a mark", self.refused(f"{PAGE}\n{mark}\n```sh\nx\n```\n"))

    def test_mark_without_a_block_is_refused(self) -> None:
        for page in (f"{PAGE}<!-- run: kind -->\n\n```sh\nx\n```\n", f"{PAGE}<!-- run: kind -->"):
            self.assertIn("line 22: a mark without a block", self.refused(page))

    def test_target_without_marked_blocks_is_refused(self) -> None:
        with self.assertRaisesRegex(PageError, "no block is marked for minikube"):
            self.commands(PAGE, "minikube")


if __name__ == "__main__":
    unittest.main()
