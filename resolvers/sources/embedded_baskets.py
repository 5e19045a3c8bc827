"""Baskets of the embedded shop, in a SQLite file of their own, so that a catalogue built anew loses none.

Several processes may write: each change is one transaction under SQLite's write lock (WAL). A change survives a crash
of the process; the machine losing power may cost the last ones. Owners are stored as digests only. Baskets that nobody
touched for `KEPT` are dropped when a process opens the file.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path

from personalization.clock import Clock, Deadline
from personalization.file_lock import alone
from resolvers.errors import SourceRefused, UnknownBasket

MAX_LINES = 100
KEPT = timedelta(days=180)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS basket (
    id TEXT PRIMARY KEY, owner_digest BLOB NOT NULL, changed_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS basket_by_change ON basket (changed_at);
CREATE TABLE IF NOT EXISTS basket_line (
    basket_id TEXT NOT NULL REFERENCES basket (id) ON DELETE CASCADE,
    product_id TEXT NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    position INTEGER NOT NULL,
    PRIMARY KEY (basket_id, product_id)
) WITHOUT ROWID;
"""


class BasketStore:
    """One connection to the file of baskets. Used by one thread at a time."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10.0)
        with alone(path.with_suffix(".lock")):  # SQLite refuses at once where two switch a new file to WAL
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(_SCHEMA)
            self._db.execute("DELETE FROM basket WHERE changed_at < ?", (_text(clock.now() - KEPT),))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def lines(self, basket_id: str, owner: str) -> list[tuple[str, int]] | None:
        """Product ids and quantities in the order they were added; None where the owner has no such basket."""
        return self._lines(basket_id) if self._owns(basket_id, owner) else None

    def add(
        self, basket_id: str | None, owner: str, product_id: str, quantity: int, units: int, deadline: Deadline
    ) -> str:
        """Add units of a product of which `units` are in stock; the id of the basket, new where none was given.

        Raises `UnknownBasket`, and `SourceRefused` where the stock or the basket does not hold as much.
        """
        with self._changing(deadline):
            if basket_id is not None and not self._owns(basket_id, owner):
                raise UnknownBasket(f"you have no basket {basket_id[:40]!a}; leave the id out to begin one")
            key = basket_id or self._begin(owner)
            self._put(key, product_id, quantity, units)
            self._db.execute("UPDATE basket SET changed_at = ? WHERE id = ?", (_text(self._clock.now()), key))
            return key

    @contextmanager
    def _changing(self, deadline: Deadline) -> Iterator[None]:
        """One transaction; waits for the write lock no longer than the deadline."""
        self._db.execute(f"PRAGMA busy_timeout = {int(deadline.remaining() * 1000)}")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _begin(self, owner: str) -> str:
        basket_id = secrets.token_urlsafe(18)
        self._db.execute("INSERT INTO basket VALUES (?, ?, ?)", (basket_id, _digest(owner), _text(self._clock.now())))
        return basket_id

    def _put(self, basket_id: str, product_id: str, quantity: int, units: int) -> None:
        lines = dict(self._lines(basket_id))
        wanted = lines.get(product_id, 0) + quantity
        if wanted > units:
            raise SourceRefused(f"{units} units of product {product_id} are in stock; {wanted} were asked in all")
        if product_id not in lines and len(lines) >= MAX_LINES:
            raise SourceRefused(f"a basket holds at most {MAX_LINES} different products")
        self._db.execute(
            "INSERT INTO basket_line VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET quantity = excluded.quantity",
            (basket_id, product_id, wanted, len(lines)),
        )

    def _lines(self, basket_id: str) -> list[tuple[str, int]]:
        return self._db.execute(
            "SELECT product_id, quantity FROM basket_line WHERE basket_id = ? ORDER BY position", (basket_id,)
        ).fetchall()

    def _owns(self, basket_id: str, owner: str) -> bool:
        if not basket_id.isascii():
            return False
        found = self._db.execute("SELECT owner_digest FROM basket WHERE id = ?", (basket_id,)).fetchone()
        return bool(found == (_digest(owner),))


def _digest(owner: str) -> bytes:
    return blake2b(owner.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
