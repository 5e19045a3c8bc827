"""The real shop as a process of its own: seeded once, copied for each server, stopped with the tests."""

import json
import os
import select
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]
START_S = 60.0


def seed_shop(folder: Path) -> Path:
    """A database file in the folder with the whole shop in it; made once."""
    database = folder / "oscar-seeded.sqlite3"
    if database.exists():
        return database
    command = [sys.executable, "-W", "ignore", "-m", "tests.sources.oscar_shop.seed"]
    subprocess.run(command, cwd=ROOT, env=_environment(database, {}), check=True, timeout=120)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


class OscarServer:
    """A shop that can be killed and started again at the same address, with what it knew."""

    def __init__(self, seeded: Path, folder: Path, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.database = folder / "shop.sqlite3"
        shutil.copy(seeded, self.database)
        self._environment = _environment(self.database, settings)
        self._log = folder / "shop.log"
        self._process: subprocess.Popen[str] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """The base address of its REST API."""
        return f"http://127.0.0.1:{self._port}/api/"

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        command = [sys.executable, "-W", "ignore", "-m", "tests.sources.oscar_shop.serve", str(self._port)]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_S)
        line = self._process.stdout.readline() if ready else ""
        if not line.strip():
            self.kill()
            raise RuntimeError(f"the shop did not start: {self._log.read_text()[-2000:]}")
        self._port = int(line)

    def kill(self) -> None:
        """End it as a crash would; nothing happens where it does not run."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None

    def tell(self, **orders: object) -> None:
        """Forget the calls counted so far; from now on be slow (`delay_s`) or fail (`broken`, part of a path)."""
        self._probe(Request(self.url.replace("/api/", "/_probe/"), json.dumps(orders).encode(), method="POST"))

    def calls(self) -> list[str]:
        """Method and address of each call since the last `tell`."""
        return list(self._probe(Request(self.url.replace("/api/", "/_probe/")))["calls"])

    def most(self) -> int:
        """The most calls that were inside at the same time since the last `tell`."""
        return int(self._probe(Request(self.url.replace("/api/", "/_probe/")))["most"])

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask or change the shop's database behind its back."""
        with closing(sqlite3.connect(self.database, timeout=20)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def _probe(self, request: Request) -> dict[str, Any]:
        with urlopen(request, timeout=30) as response:
            return dict(json.load(response))


@contextmanager
def running(seeded: Path, folder: Path, **settings: str) -> Iterator[OscarServer]:
    """A running shop; killed at the end."""
    server = OscarServer(seeded, folder, **settings)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _environment(database: Path, settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHOP_", "DJANGO_", "COV_CORE"))}
    return {**kept, "SHOP_DB": str(database), **settings}
