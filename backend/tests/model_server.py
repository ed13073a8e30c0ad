"""A fake of OpenAI's API, scripted by a test."""

import json
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

# Writes pieces of the response, and returns the finish reason of the model. "" ends the response
# without a reason, and None closes the connection.
Play = Callable[[Callable[[str], None]], str | None]


class ModelServer:
    """Answers with the output of `play`, or with `status` if that is an error."""

    def __init__(self) -> None:
        self.status = 200
        self.play: Play = lambda _: "stop"
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    def run(self) -> Generator[str]:
        """Serve while the generator is held; yields the address once."""
        ours = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                assert self.path == "/v1/chat/completions"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                ours.requests.append(json.loads(body))
                ours.keys.append(self.headers["Authorization"])
                if ours.status != 200:
                    self.refuse()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                reason = ours.play(lambda piece: self.write(chunk(piece, None)))
                if reason is None:
                    # The connection ends before the next chunk.
                    self.close_connection = True
                    return
                if reason:
                    self.write(chunk("", reason))
                    self.write("[DONE]")
                self.wfile.write(b"0\r\n\r\n")

            def refuse(self) -> None:
                error = {"message": f"no: {self.headers['Authorization']}", "type": "x"}
                answer = json.dumps({"error": error}).encode()
                self.send_response(ours.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def write(self, data: str) -> None:
                event = f"data: {data}\n\n".encode()
                self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
            server.shutdown()


def chunk(content: str, reason: str | None) -> str:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": reason}
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "test",
            "choices": [choice],
        }
    )
