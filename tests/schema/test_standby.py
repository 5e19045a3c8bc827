"""Standby shelves: what was good last is at hand."""

from hypothesis import given
from hypothesis import strategies as st

from resolvers.sources.source import Product
from resolvers.standby import StandbyShelves


def product(number: int) -> Product:
    return Product(str(number), f"Product {number}", "soap", None, None, None, 0)


def test_nothing_is_known_at_first() -> None:
    assert StandbyShelves().shelf("soap", 12) == ()


def test_a_category_without_a_shelf_gets_the_whole_shops() -> None:
    standby = StandbyShelves()
    standby.keep(None, (product(1), product(2)))
    assert standby.shelf("soap", 1) == (product(1),)


def test_an_empty_answer_does_not_wipe_out_what_was_good() -> None:
    standby = StandbyShelves()
    standby.keep("soap", (product(1),))
    standby.keep("soap", ())
    assert standby.shelf("soap", 12) == (product(1),)


@given(st.lists(st.lists(st.integers(0, 20), unique=True, max_size=12), min_size=1, max_size=6))
def test_a_shelf_begins_with_the_latest_and_repeats_nothing(reads: list[list[int]]) -> None:
    standby = StandbyShelves()
    for numbers in reads:
        standby.keep("soap", tuple(product(number) for number in numbers))
    shelf = standby.shelf("soap", 100)
    last = next((numbers for numbers in reversed(reads) if numbers), [])
    assert [each.id for each in shelf[: len(last)]] == [str(number) for number in last]
    assert len({each.id for each in shelf}) == len(shelf)
