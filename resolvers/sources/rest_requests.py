"""The requests of the REST contract (`docs/upstream.md`): the client writes them, the server reads them."""

from collections.abc import Callable, Mapping, Set
from typing import Any, TypeVar

from resolvers.sources.problems import InvalidRequest
from resolvers.sources.source import MAX_PAGE, CatalogQuery, ProductSort, ShelfKind, ShelfQuery

T = TypeVar("T")

MAX_BATCH = 1000
MAX_SHELVES = 100
MAX_BODY_BYTES = 1024 * 1024


def catalog_members(query: CatalogQuery) -> dict[str, str]:
    """A catalog query, the same for an address and a body; what is None is left out."""
    given = {"category": query.category_id, "search": query.search, "after": query.after}
    members = {name: value for name, value in given.items() if value is not None}
    return {**members, "sort": query.sort.value, "first": str(query.first)}


def shelf_members(query: ShelfQuery) -> dict[str, str | int | None]:
    """A shelf query as JSON."""
    return {"kind": query.kind.value, "category": query.category_id, "region": query.region, "limit": query.limit}


class Members:
    """The members of a request, from its address or its body, read one by one.

    Raises `InvalidRequest` that names the member: at once for one the route does not take, since an upstream that
    ignores a filter it does not know gives a wrong answer; then for each that is missing or of the wrong kind.
    """

    def __init__(self, values: Any, known: Set[str]) -> None:
        if not isinstance(values, Mapping):
            raise InvalidRequest("the body must be a JSON object")
        unknown = values.keys() - known
        if unknown:
            raise InvalidRequest(f"this route takes {', '.join(sorted(known)) or 'nothing'}; not {min(unknown)[:50]!r}")
        self._values = values

    def text(self, name: str) -> str:
        """A text that must be there."""
        return self._read(name, self._values.get(name), str, "a text")

    def optional_text(self, name: str) -> str | None:
        """A text, or None where it is left out or null."""
        value = self._values.get(name)
        return None if value is None else self._read(name, value, str, "a text")

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer, or the text of one; `default` where it is left out."""
        value = self._values.get(name, default)
        if type(value) is str and value.isascii() and value.isdigit() and len(value) <= 9:
            return int(value)
        return self._read(name, value, int, "an integer")

    def within(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """An integer of a range."""
        value = self.integer(name, default)
        if not least <= value <= most:
            raise InvalidRequest(f"{name} must be {least} to {most}, not {value}")
        return value

    def word(self, name: str, kind: Callable[[str], T], default: str | None = None) -> T:
        """One word of an enumeration."""
        value = self._read(name, self._values.get(name, default), str, "a text")
        try:
            return kind(value)
        except ValueError as error:
            raise InvalidRequest(f"{name} is no word of this contract: {value[:50]!r}") from error

    def items(self, name: str, kind: type[T], most: int) -> list[T]:
        """A list of at most `most`."""
        values = self._read(name, self._values.get(name), list, "a list")
        if len(values) > most:
            raise InvalidRequest(f"{name} may hold {most}, not {len(values)}")
        return [self._read(name, value, kind, "a list of another kind of item") for value in values]

    def _read(self, name: str, value: Any, kind: type[T], words: str) -> T:
        if type(value) is not kind:
            raise InvalidRequest(f"{name} must be {words}")
        return value


def read_ids(members: Members) -> list[str]:
    """The ids of a batch read."""
    return members.items("ids", str, MAX_BATCH)


def read_catalog_query(values: Any) -> CatalogQuery:
    """The catalog query of a request. Raises `InvalidRequest`."""
    members = Members(values, {"category", "search", "sort", "first", "after"})
    return CatalogQuery(
        members.optional_text("category"),
        members.optional_text("search"),
        members.word("sort", ProductSort, ProductSort.POPULAR.value),
        members.within("first", 1, MAX_PAGE, 24),
        members.optional_text("after"),
    )


def read_shelf_queries(values: Any) -> list[ShelfQuery]:
    """The shelf queries of a request. Raises `InvalidRequest`."""
    shelves = Members(values, {"shelves"}).items("shelves", dict, MAX_SHELVES)
    return [_read_shelf(Members(shelf, {"kind", "category", "region", "limit"})) for shelf in shelves]


def _read_shelf(members: Members) -> ShelfQuery:
    return ShelfQuery(
        members.word("kind", ShelfKind),
        members.optional_text("category"),
        members.optional_text("region"),
        members.within("limit", 1, MAX_BATCH, 12),
    )
