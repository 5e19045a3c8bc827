"""Moulds: the JSON of a value that is like another one, without completing it."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.execution.kept import Kept, Mould, encode
from gateway.execution.telling import MOULDS, Moulds, Telling
from resolvers.caching.cell import Cell
from resolvers.plans import GivenList
from resolvers.recommendations import TOLD, Decision

TEXTS = st.text(max_size=20)
OWN = "0198c0de-0000-7000-8000-000000000001"


def kept(value: object) -> Kept:
    return Kept(Cell(b"key", "Query.field"), orjson.dumps(value))


@given(st.dictionaries(TEXTS, TEXTS, max_size=4), st.uuids().map(str), st.lists(TEXTS, min_size=2, max_size=2))
def test_a_mould_gives_what_completion_gives(rest: dict[str, str], own: str, products: list[str]) -> None:
    def completed(id_: str, parts: dict[str, Kept]) -> dict[str, object]:
        return {**rest, "id": id_, "again": {"id": id_}, "first": parts["a"], "all": [parts["b"], parts["a"]]}

    made = {"a": kept(products[0]), "b": kept(["x", 1, None])}
    mould = Mould(completed(OWN, made), [OWN], made)
    other = {"a": kept({"name": products[1]}), "b": kept(products)}
    for id_, parts in ((OWN, made), (own, other)):
        assert mould.filled([id_], parts) == encode(completed(id_, parts))


Item = tuple[str, list[str]]
ITEMS = st.lists(st.tuples(TEXTS, st.lists(st.uuids().map(str), max_size=2, unique=True)), max_size=8)


@given(ITEMS, st.integers(1, 3))
def test_a_list_is_told_as_it_is_completed(items: list[Item], times: int) -> None:
    def complete(values: list[Item]) -> list[object]:
        return [{"name": name, "own": own, "last": own[-1:] or None} for name, own in values]

    telling = Telling(complete, Moulds())
    for first in range(times):
        told = items[first:]
        alike, own_texts = [(name, len(own)) for name, own in told], [own for _, own in told]
        listed = GivenList(alike, told.__getitem__, own_texts.__getitem__, frozenset)
        assert telling.text(listed) == encode(complete(told))


def test_no_more_moulds_are_remembered_than_are_allowed() -> None:
    moulds, mould = Moulds(), Mould(None, (), {})
    for number in range(MOULDS + 1):
        moulds.keep(number, mould)
    assert (moulds.find(0), moulds.find(MOULDS)) == (None, mould)


def test_a_value_without_an_id_of_its_own_is_the_same_each_time() -> None:
    mould = Mould({"persona": "VISITOR", "key": None}, (), {})
    assert mould.filled((), {}) == b'{"persona":"VISITOR","key":null}'


def test_all_that_a_decision_shows_tells_moulds_apart() -> None:
    """Shelves are moulded by what `TOLD` names; a field that is not named there would be served from another shelf."""
    shown = {field.name for field in Decision.__strawberry_definition__.fields}  # type: ignore[attr-defined]
    assert shown == {"id", *TOLD}
