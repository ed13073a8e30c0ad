"""cause.py LOG: prints the line of a log with the reason why the command failed."""

import re
import sys
from pathlib import Path

COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
# Closing lines of failed runs. They give no reason.
CLOSING = re.compile(
    r"error: could not compile|error: aborting due to|error: test failed, to rerun|error: \d+ targets? failed"
    r"|error\[?.*\]?: .* previous errors?|warning: build failed|For more information about this error|test result: "
    r"|make(\[\d+\])?: |FAILED \(|Ran \d+ tests? in|\d+ (passed|failed)|=+ .* (passed|failed)|npm error A complete log"
    r"|npm error errno|--$|-{5,}|=={5,}|Some errors have detailed explanations|note: run with `RUST_BACKTRACE"
)
REASON = re.compile(
    r"(\[ *[\d.]+s\] )?"
    r"(error\b|fatal:|E: |failed: |npm error |FAIL|[\w.]*(Error|Exception)\b|thread '.*panicked at )",
)
PANIC = re.compile(r"thread '(?P<test>[^']*)'.* panicked at (?P<place>[^ ]+?):?$")
NEAR = 15


def cause(log: str) -> str:
    """The last line with a reason; without one, the last line that is not a closing line."""
    lines = [COLOUR.sub("", line).strip() for line in log.splitlines()]
    lines = [line for line in lines if line]
    kept = len(lines)
    while kept and CLOSING.match(lines[kept - 1]):
        kept -= 1
    if not kept:
        return lines[-1] if lines else "it printed nothing"
    # The last line of a script is its reason. A compiler's reason may stand far above its closing lines.
    first = 0 if kept < len(lines) else max(0, kept - NEAR)
    for number in range(kept - 1, first - 1, -1):
        line = lines[number]
        if REASON.match(line) and not CLOSING.match(line):
            panic = PANIC.match(line)
            if panic:
                message = lines[number + 1] if number + 1 < len(lines) else "no message"
                return f"{panic['test']} panicked at {panic['place']}: {message}"
            return line
    return lines[kept - 1]


if __name__ == "__main__":
    print(cause(Path(sys.argv[1]).read_text(errors="replace")))
