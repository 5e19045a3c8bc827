"""Completed values that are kept: how they stand in an answer, and how they are taken apart to be kept."""

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Final

import orjson

from resolvers.caching.cell import Cell

_GAP: Final = b"\0"  # JSON never has one: in strings it is written \u0000


class Told:
    """A value that is ready JSON."""

    __slots__ = ("text",)

    def __init__(self, text: bytes) -> None:
        self.text = text


class Kept(Told):
    """A value that is kept. `cell` is where; that may be thrown out, the text is good here.

    `fresh` says that nobody has to make it anew yet.
    """

    __slots__ = ("cell", "fresh")

    def __init__(self, cell: Cell, text: bytes, fresh: bool = True) -> None:
        self.cell = cell
        self.text = text
        self.fresh = fresh

    def value(self) -> Any:
        """What it stands for, as a dict would be."""
        return orjson.loads(self.text)


def encode(value: object) -> bytes:
    """JSON in UTF-8, kept values as they are."""
    return orjson.dumps(value, default=_as_text)


def take_apart(value: object) -> tuple[Sequence[bytes], Sequence[Cell]]:
    """The JSON of a completed value, in parts, and the cells of the kept values between them."""
    holes: list[Cell] = []

    def gap(each: object) -> orjson.Fragment:
        if isinstance(each, Kept):
            holes.append(each.cell)
            return orjson.Fragment(_GAP)
        raise TypeError(f"a completed value holds a {type(each).__name__}")

    return orjson.dumps(value, default=gap).split(_GAP), holes


class Mould:
    """The JSON of a completed value, with room for what differs between values that are alike.

    `whole` is the JSON of all of them where nothing does.
    """

    __slots__ = ("_kept", "_own", "_row", "whole")

    def __init__(self, completed: object, own: Sequence[str], kept: Mapping[str, object]) -> None:
        """`own` are texts that are found nowhere else in the value; `kept` stands in it."""
        names = {id(each): name for name, each in kept.items()}
        order: list[str] = []

        def gap(each: object) -> orjson.Fragment:
            order.append(names[id(each)])
            return orjson.Fragment(_GAP)

        self._row: list[bytes] = []
        self._own: list[tuple[int, int]] = []
        self._kept: list[tuple[int, str]] = []
        for number, part in enumerate(orjson.dumps(completed, default=gap).split(_GAP)):
            if number:
                self._kept.append((len(self._row), order[number - 1]))
                self._row.append(b"")
            self._split(part, [orjson.dumps(each) for each in own])
        self.whole = b"".join(self._row) if not self._own and not self._kept else None

    def filled(self, own: Sequence[str], kept: Mapping[str, Any]) -> bytes:
        """The JSON of a value that is like the one it was made of."""
        row = self._row.copy()  # what stands in it is not held on to
        for place, which in self._own:
            row[place] = encode_basestring(own[which]).encode()  # as `orjson.dumps`, in a fifth of its time
        for place, name in self._kept:
            row[place] = kept[name].text
        return b"".join(row)

    def _split(self, part: bytes, own: Sequence[bytes], which: int = 0) -> None:
        """Make room in a part for each text of its own."""
        if which == len(own):
            self._row.append(part)
            return
        for nth, piece in enumerate(part.split(own[which])):
            if nth:
                self._own.append((len(self._row), which))
                self._row.append(b"")
            self._split(piece, own, which + 1)


def has_absence(value: object) -> bool:
    """Whether a value, or an item of a list of values, is not there."""
    return value is None or (isinstance(value, list) and None in value)


def _as_text(each: object) -> orjson.Fragment:
    if isinstance(each, Told):
        return orjson.Fragment(each.text)
    raise TypeError(f"a completed value holds a {type(each).__name__}")


def plain(value: Any) -> Any:
    """A completed value with kept values opened, for those who look at answers as dicts and lists."""
    if isinstance(value, Kept):
        return value.value()
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value
