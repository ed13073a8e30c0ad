"""Reads a Markdown page and writes a shell script of the blocks that are marked for a target.

Every block has a mark in the line above it. `<!-- run: TARGET... -->` marks a block of sh that is run on these targets,
with `, exit code N` if it fails; `<!-- not run: WHY -->`, one that no test can run. `<!-- seen -->` marks a block of
text: the last block printed each of its lines, in which `...` matches anything. The script calls `begin`, `expect` and
`seen`, and writes to the file that `$output` names.
"""

import re
import shlex
import sys
from itertools import takewhile

MARK = re.compile(
    r"<!-- (?:run: (?P<targets>[a-z -]+)(?:, exit code (?P<code>\d+))?|(?P<not_run>not run: \S.*)|(?P<seen>seen)) -->"
)
WRITTEN_FOR = "docker-desktop"


class PageError(Exception):
    """The page has a block without a valid mark."""


def blocks(page: list[str]) -> list[tuple[int, re.Match[str], list[str]]]:
    """Return the blocks: number of the first line, mark, lines."""
    found = []
    above = ""
    lines = enumerate([*page, ""], 1)
    for number, line in lines:
        if line.lstrip().startswith("```"):
            mark = MARK.fullmatch(above)
            if not mark or line != ("```text" if mark["seen"] else "```sh"):
                raise PageError(f"line {number}: a block without a mark of its own: {above or 'nothing'} above {line}")
            found.append((number + 1, mark, [text for _, text in takewhile(lambda item: item[1] != "```", lines)]))
            above = ""
        elif above.startswith("<!--"):
            raise PageError(f"line {number - 1}: a mark without a block: {above}")
        else:
            above = line
    return found


def script(page: list[str], target: str) -> list[str]:
    """Return the commands for a target, with the expected output after each block."""
    commands: list[str] = []
    is_run = False
    for number, mark, lines in blocks(page):
        if mark["targets"]:
            is_run = target in mark["targets"].split()
            if is_run and mark["code"]:
                commands += [f"begin {number}", "set +e", "(", "set -e", *lines, ') >"$output" 2>&1']
                commands += ["code=$?", "set -e", f'expect {mark["code"]} "$code"']
            elif is_run:
                commands += [f"begin {number}", "{", *lines, '} >"$output" 2>&1']
        elif mark["not_run"]:
            is_run = False
        elif is_run:
            for offset, line in enumerate(lines):
                text = line.strip().replace(f"on {WRITTEN_FOR}", f"on {target}")
                parts = [re.sub(r"([^\w\s/:;,'\"-])", r"\\\1", part) for part in text.split("...")]
                pattern = re.sub(r"\s+", "[[:space:]]+", ".*".join(parts))
                commands.append(f"seen {number + offset} {shlex.quote(pattern)} {shlex.quote(text)}")
    if not commands:
        raise PageError(f"no block is marked for {target}")
    return commands


def main() -> None:
    """Read the page from standard input and print the script for the target in the arguments."""
    try:
        print("\n".join(script(sys.stdin.read().splitlines(), sys.argv[1])))
    except PageError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
