"""The data of the app `parcel` in PostgreSQL: a row for each greeting, in the order of the deploys.

Its image has no driver, so this implements the protocol: TLS if the server offers it, SCRAM, and simple queries.
"""

import base64
import hashlib
import hmac
import os
import secrets
import socket
import ssl
import struct
import sys
from urllib.parse import unquote, urlsplit

STATEMENTS = {
    "write": "create table if not exists parcel (id serial primary key, greeting text unique);"
    "insert into parcel (greeting) values ('GREETING') on conflict do nothing",
    "read": "select greeting from parcel order by id",
    "begin": "drop table if exists parcel;create table parcel (id serial primary key, greeting text unique)",
    "forget": "drop table if exists parcel",
}


class Connection:
    """A connection with the user and the database of a URL."""

    def __init__(self, url: str) -> None:
        """Open the connection and log in."""
        parts = urlsplit(url)
        opened = socket.create_connection((parts.hostname, parts.port or 5432), timeout=20)
        opened.sendall(struct.pack("!ii", 8, 80877103))
        if opened.recv(1) == b"S":
            # As with `sslmode=require`, the certificate is not verified.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            opened = context.wrap_socket(opened)
        self.socket = opened
        self.incoming = opened.makefile("rb")
        options = f"user\0{unquote(parts.username)}\0database\0{parts.path.strip('/')}\0\0"
        body = struct.pack("!i", 196608) + options.encode()
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.log_in(unquote(parts.password))
        self.until_ready()

    def send(self, kind: bytes, body: bytes) -> None:
        """Send one message."""
        self.socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)

    def receive(self) -> tuple[bytes, bytes]:
        """Return the next message; exit if it is an error."""
        kind, size = struct.unpack("!ci", self.incoming.read(5))
        body = self.incoming.read(size - 4)
        if kind == b"E":
            sys.exit(body.replace(b"\0", b" ").decode())
        return kind, body

    def challenge(self, wanted: int) -> str:
        """Return the server's data in a step of the log-in."""
        kind, body = self.receive()
        (step,) = struct.unpack("!i", body[:4])
        if (kind, step) != (b"R", wanted):
            sys.exit(f"step {step} of a log-in that is not SCRAM-SHA-256")
        return body[4:].decode()

    def log_in(self, password: str) -> None:
        """RFC 5802."""
        self.challenge(10)
        first = f"n=,r={secrets.token_hex(12)}"
        message = f"n,,{first}".encode()
        self.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(message)) + message)
        answer = self.challenge(11)
        said = dict(part.split("=", 1) for part in answer.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(said["s"]), int(said["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        last = f"c=biws,r={said['r']}"
        signed = hmac.digest(hashlib.sha256(key).digest(), f"{first},{answer},{last}".encode(), "sha256")
        proof = base64.b64encode(bytes(one ^ other for one, other in zip(key, signed, strict=True)))
        self.send(b"p", f"{last},p={proof.decode()}".encode())
        self.challenge(12)
        self.challenge(0)

    def until_ready(self) -> list[str]:
        """Return the rows of one column, up to the end of the query."""
        rows = []
        while True:
            kind, body = self.receive()
            if kind == b"Z":
                return rows
            if kind == b"D":
                rows.append(body[6:].decode())

    def query(self, statement: str) -> list[str]:
        """Return the rows of a statement."""
        self.send(b"Q", statement.encode() + b"\0")
        return self.until_ready()


greeting = os.environ.get("GREETING", "")
for row in Connection(os.environ["DATABASE_URL"]).query(STATEMENTS[sys.argv[1]].replace("GREETING", greeting)):
    print(row)
