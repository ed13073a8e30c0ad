"""Whole commands in pairs: ours and the peer's take turns, so that both run under the same conditions.

Prints the shortest and the median time of each and the ratio of the medians (below 1: ours is quicker). A command that
fails ends the run.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Rounds that are not counted, to fill the file cache.
WARM_UP = 1

Command = Callable[[int], list[str]]


def seconds(command: list[str]) -> float:
    """Return the seconds from a command's start to its end."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - began
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:3])} ... failed ({done.returncode}):\n{done.stderr[-2000:]}")
    return elapsed


def figure(times: list[float]) -> str:
    """Return the minimum and the median of some times, in milliseconds."""
    return f"{min(times) * 1000:8.0f} {statistics.median(times) * 1000:8.0f}"


def pair(title: str, ours: Command, peer: Command | None, rounds: int) -> None:
    """Time both commands in turn; the first one changes from round to round."""
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for number in range(WARM_UP + rounds):
        sides = [("ours", ours), ("peer", peer)]
        for side, command in sides if number % 2 else reversed(sides):
            if command is not None:
                elapsed = seconds(command(number))
                if number >= WARM_UP:
                    times[side].append(elapsed)
    line = f"{title:44} {figure(times['ours'])}"
    if peer is not None:
        ratio = statistics.median(times["ours"]) / statistics.median(times["peer"])
        line += f"   {figure(times['peer'])}   {ratio:6.2f}"
    print(line, flush=True)


def project(folder: Path, chart: Path) -> Path:
    """Create a project around a chart, without images and secrets."""
    shutil.copytree(chart, folder / "chart")
    (folder / "todohost.toml").write_text(
        '[app]\nname = "bench"\nnamespace = "bench"\nchart = "chart"\n', encoding="utf-8"
    )
    return folder


def main() -> None:
    """Print each command's figures beside those of its peer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--todohost", required=True)
    parser.add_argument("--helm", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--target", default="docker-desktop")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    todohost, helm, rounds = arguments.todohost, arguments.helm, arguments.rounds

    secrets = ["--secret", "secrets.databaseUrl=env:DATABASE_URL"]
    secrets += ["--secret", f"secrets.jwtSecret=file:{arguments.state / 'jwt-secret'}"]
    context = ["--kube-context", arguments.target, "--namespace", "todo-bench"]
    same = ["--set", f"secrets.databaseUrl={os.environ['DATABASE_URL']}"]
    same += ["--set", "secrets.jwtSecret=a-key-for-the-bench-alone-0123456789"]
    same += ["--set", "frontend.service.nodePort=30099"]

    size = Path(todohost).stat().st_size / 1_000_000
    print(f"{'size of the host program':44} {size:8.1f} MB")
    print(f"{'milliseconds':44} {'min':>8} {'median':>8}   {'min':>8} {'median':>8}   {'ratio':>6}")
    pair(
        "--version | helm version",
        lambda _: [todohost, "--version"],
        lambda _: [helm, "version"],
        rounds * 2,
    )
    upgrade = [helm, "upgrade", "--install", "--wait", "--create-namespace", "bench", "helm/todo-app", *context, *same]
    pair(
        "no-change deploy | helm upgrade --wait",
        lambda _: [todohost, "deploy", "--target", arguments.target, *secrets],
        lambda _: upgrade,
        rounds,
    )
    subprocess.run([helm, "uninstall", "bench", *context], check=True, capture_output=True)

    def template(chart: Path, sets: list[str]) -> Command:
        return lambda number: [helm, "template", "bench", str(chart), *sets, "--set", f"round={number}"]

    template_todo = [helm, "template", "todo-app", str(ROOT / "helm/todo-app"), *same]
    pair(
        "render the Todo chart, unchanged | template",
        lambda _: [todohost, "render"],
        lambda _: template_todo,
        rounds,
    )
    pair(
        "render the Todo chart, changed | template",
        lambda number: [todohost, "render", "--set", f"backend.replicaCount={time.time_ns() % 10**9}"],
        lambda number: [*template_todo, "--set", f"backend.replicaCount={number + 1}"],
        rounds,
    )
    with tempfile.TemporaryDirectory() as scratch:
        many = project(Path(scratch), ROOT / "plugins/steps/helm/tests/charts/many")
        pair(
            "render 150 objects, unchanged | template",
            lambda _: [todohost, "render", "--project", str(many), "--set", "parts=30"],
            template(many / "chart", ["--set", "parts=30"]),
            rounds,
        )
        pair(
            "render 150 objects, changed | template",
            lambda _: [todohost, "render", "--project", str(many), "--set", f"parts=30,round={time.time_ns()}"],
            template(many / "chart", ["--set", "parts=30"]),
            rounds,
        )


if __name__ == "__main__":
    main()
