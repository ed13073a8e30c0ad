"""Reads a page in Markdown and writes a shell script of the blocks that are marked for a target.

`<!-- run: TARGET... -->` right above a block of sh says for which targets it is run; `, exit code N` after them, how it
ends where that is not well. `<!-- seen -->` above a block of text says that what ran last printed each of its lines,
where `...` stands for anything. The script calls `begin`, `expect` and `seen`, and writes to the file `output`.
"""

import re
import shlex
import sys

MARK = re.compile(r"<!-- (?:run: (?P<targets>[a-z -]+)(?:, exit code (?P<code>\d+))?|(?P<seen>seen)) -->")
WRITTEN_FOR = "docker-desktop"


def blocks(page: list[str]) -> list[tuple[int, re.Match[str], list[str]]]:
    """The marked blocks: the line where each begins, its mark, its lines."""
    found = []
    for index, line in enumerate(page):
        if not line.startswith("<!-- "):
            continue
        mark = MARK.fullmatch(line)
        fence = page[index + 1]
        if not mark or fence != ("```text" if mark["seen"] else "```sh"):
            sys.exit(f"line {index + 1}: no mark of a block: {line} {fence}")
        end = page.index("```", index + 2)
        found.append((index + 3, mark, page[index + 2 : end]))
    return found


def script(page: list[str], target: str) -> list[str]:
    """The commands for a target, and after each block what it must have printed."""
    commands: list[str] = []
    is_run = False
    for number, mark, lines in blocks(page):
        if not mark["seen"]:
            is_run = target in mark["targets"].split()
            if is_run and mark["code"]:
                commands += [f"begin {number}", "set +e", "(", "set -e", *lines, ") >output 2>&1"]
                commands += ["code=$?", "set -e", f'expect {mark["code"]} "$code"']
            elif is_run:
                commands += [f"begin {number}", "{", *lines, "} >output 2>&1"]
        elif is_run:
            for offset, line in enumerate(lines):
                text = line.strip().replace(f"on {WRITTEN_FOR}", f"on {target}")
                parts = [re.sub(r"([^\w\s/:;,'\"-])", r"\\\1", part) for part in text.split("...")]
                pattern = re.sub(r"\s+", "[[:space:]]+", ".*".join(parts))
                commands.append(f"seen {number + offset} {shlex.quote(pattern)} {shlex.quote(text)}")
    if not commands:
        sys.exit(f"no block is marked for {target}")
    return commands


print("\n".join(script(sys.stdin.read().splitlines(), sys.argv[1])))
