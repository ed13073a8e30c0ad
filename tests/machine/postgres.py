"""The external database: a real PostgreSQL with TLS and passwords at an address that pods can reach."""

import secrets
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from machine.daemon import Daemon
from machine.place import STATE, write
from machine.process import MachineError, run, say, succeeds, wait_until

SERVER = Daemon("postgres")
DATA = STATE / "postgres"
# The mark is in the data folder, so that removal of the data removes the mark.
DATABASE_MADE = DATA / "database-made"
PASSWORD = STATE / "postgres-password"
PORT = 15432
USER = "postgres"


def programs() -> Path:
    """Returns the folder of the newest installed server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise MachineError("the package postgresql brought no server")
    return found[-1].parent


def up(address: str) -> None:
    """Starts the server on localhost and `address`, with the database and its user."""
    folder = programs()
    if SERVER.pid() is not None and DATABASE_MADE.exists():
        return
    say("starting PostgreSQL")
    if not (DATA / "ready").exists():
        _create(folder, address)
    _forget_killed_server()
    # The address may have changed since the data was created.
    SERVER.start(
        folder / "postgres",
        "-D",
        DATA,
        "-c",
        f"listen_addresses=localhost,{address}",
        user=USER,
        env={"LC_ALL": "C.UTF-8"},
    )
    wait_until(
        lambda: succeeds(folder / "pg_isready", "-q", "-h", "localhost", "-p", str(PORT)),
        "PostgreSQL to answer",
        30,
        SERVER.must_live,
    )
    _create_database(folder)
    DATABASE_MADE.touch()


def _forget_killed_server() -> None:
    """Removes the locks of a killed server, since a new one respects even the lock of a zombie.

    This is safe after the last process in the data folder ended; children of a killed server end automatically.
    """
    if SERVER.pid() is None:
        wait_until(lambda: not _is_used(DATA), "the killed PostgreSQL's children to end", 30)
        for lock in ("postmaster.pid", f".s.PGSQL.{PORT}.lock"):
            (DATA / lock).unlink(missing_ok=True)


def _is_used(folder: Path) -> bool:
    for working in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if working.readlink() == folder:
                return True
    return False


def url(address: str) -> str:
    """Returns the DATABASE_URL of this server."""
    return f"postgresql://todo:{PASSWORD.read_text().strip()}@{address}:{PORT}/todo?sslmode=require"


def _as_server_user(*command: str | Path) -> str:
    return run("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", *command, cwd=Path("/"))


def _create(folder: Path, address: str) -> None:
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    shutil.chown(DATA, USER, USER)
    if not PASSWORD.exists():
        write(PASSWORD, secrets.token_urlsafe(24), 0o600)
    _as_server_user(folder / "initdb", "-D", DATA, "--auth-local=peer", "--auth-host=scram-sha-256", "-E", "UTF8")
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj", "/CN=postgres"),
        *("-addext", f"subjectAltName=DNS:localhost,IP:127.0.0.1,IP:{address}"),
        *("-keyout", DATA / "server.key", "-out", DATA / "server.crt"),
    )
    for name in ("server.key", "server.crt"):
        shutil.chown(DATA / name, USER, USER)
        (DATA / name).chmod(0o600)
    with (DATA / "postgresql.conf").open("a") as configuration:
        configuration.write(
            f"\nport = {PORT}\nssl = on\nunix_socket_directories = '{DATA}'\n"
            "fsync = off\npassword_encryption = 'scram-sha-256'\n"
        )
    # Only passwords over TLS from private addresses: the server is for pods and tests.
    private = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", f"{address}/32", "127.0.0.1/32", "::1/128")
    rules = ["local all postgres peer"] + [f"hostssl all all {network} scram-sha-256" for network in private]
    (DATA / "pg_hba.conf").write_text("\n".join(rules) + "\n")
    (DATA / "ready").touch()


def _create_database(folder: Path) -> None:
    psql = (folder / "psql", "-h", DATA, "-p", str(PORT), "-v", "ON_ERROR_STOP=1", "-qAt", "-d", "postgres")
    password = PASSWORD.read_text().strip()
    if not _as_server_user(*psql, "-c", "SELECT 1 FROM pg_roles WHERE rolname = 'todo'").strip():
        script = STATE / "create-role.sql"
        write(script, f"CREATE ROLE todo LOGIN CREATEDB PASSWORD '{password}';\n", 0o600)
        try:
            shutil.chown(script, USER)
            _as_server_user(*psql, "-f", script)
        finally:
            script.unlink()
    if not _as_server_user(*psql, "-c", "SELECT 1 FROM pg_database WHERE datname = 'todo'").strip():
        _as_server_user(*psql, "-c", "CREATE DATABASE todo OWNER todo")


def down() -> None:
    """Stops the server at once but cleanly."""
    if SERVER.stop(first=signal.SIGINT):
        say("stopped postgres")
