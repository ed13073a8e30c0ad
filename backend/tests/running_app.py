"""The app in a separate process, as in a container."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryFile

import httpx2 as httpx


class RunningApp:
    """`python -m todo`, which is ready after construction and ended by `stop`."""

    def __init__(self, **environment: str) -> None:
        self.log = TemporaryFile()  # noqa: SIM115  open as long as the process
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "todo"],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(__file__).parent.parent / "src"),
                "HOST": "127.0.0.1",
                "PORT": str(port),
                **environment,
            },
            # Not a pipe, which would block the app when it is full.
            stderr=self.log,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            assert self.process.poll() is None
            try:
                if self.client.get("/health/ready").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)

    def stop(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()
        self.log.close()
