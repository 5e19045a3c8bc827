"""How what plans give is told, as JSON: what is alike is completed once, for whatever plan gives it."""

from collections.abc import Hashable, Sequence
from typing import Final

from gateway.execution.kept import Mould
from gateway.execution.leaves import Complete
from resolvers.plans import Given, GivenList

MOULDS: Final = 1024
"""Of so many kinds of values of a field, or items of a list, the JSON is remembered: actions or variants, times the
policies that chose them."""


class Moulds:
    """Moulds of one field by what those are alike in that they are for; all are forgotten when there are too many."""

    __slots__ = ("_known", "find")

    def __init__(self) -> None:
        self._known: dict[Hashable, Mould] = {}
        self.find = self._known.get

    def keep(self, alike: Hashable, mould: Mould) -> Mould:
        """Remember a mould."""
        if len(self._known) >= MOULDS:
            self._known.clear()
        self._known[alike] = mould
        return mould


class Telling:
    """Tells the values of a field, completed by `complete` where there is no mould yet."""

    __slots__ = ("_complete", "_moulds")

    def __init__(self, complete: Complete, moulds: Moulds) -> None:
        self._complete = complete
        self._moulds = moulds

    def text(self, given: Given | GivenList) -> bytes:
        """The JSON. Raises whatever completion does."""
        if isinstance(given, GivenList):
            return listed(self.items(given))
        own, alike = (given.own,) if given.own else (), given.alike
        mould = self._moulds.find(alike) or self._moulds.keep(alike, self._mould(given, own))
        return mould.whole or mould.filled(own, given.kept)

    def items(self, given: GivenList) -> Sequence[bytes]:
        """The JSON of each item of a list. Raises whatever completion does."""
        find, texts = self._moulds.find, list[bytes]()
        for number, alike in enumerate(given.alike):
            mould = find(alike) or self._moulds.keep(alike, self._item_mould(given, number))
            texts.append(mould.whole or mould.filled(given.own(number), {}))
        return texts

    def _mould(self, given: Given, own: Sequence[str]) -> Mould:
        return Mould(self._complete(given.value), own, given.kept)

    def _item_mould(self, given: GivenList, number: int) -> Mould:
        (completed,) = self._complete([given.item(number)])
        return Mould(completed, given.own(number), {})


def listed(texts: Sequence[bytes]) -> bytes:
    """The JSON of a list of these items."""
    return b"[%b]" % b",".join(texts)
