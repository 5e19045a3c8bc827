"""Moulds: the JSON of a value that is like another one, without completing it."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.execution.kept import Kept, Mould, encode
from resolvers.caching.cell import Cell
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


def test_a_value_without_an_id_of_its_own_is_the_same_each_time() -> None:
    mould = Mould({"persona": "VISITOR", "key": None}, (), {})
    assert mould.filled((), {}) == b'{"persona":"VISITOR","key":null}'


def test_all_that_a_decision_shows_tells_moulds_apart() -> None:
    """Shelves are moulded by what `TOLD` names; a field that is not named there would be served from another shelf."""
    shown = {field.name for field in Decision.__strawberry_definition__.fields}  # type: ignore[attr-defined]
    assert shown == {"id", *TOLD}
