"""Every error has a code, and every code is on the page."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import ERROR_KINDS, INTERNAL, ErrorKind, LimitExceeded, RequestError, kind_of
from personalization.errors import DeadlineExceeded, PersonaError

ROOT = Path(__file__).parents[2]
PACKAGES = ("personalization", "flags", "resolvers", "gateway")
ROW = re.compile(r"^\| `(?P<code>[A-Z_]+)`(?P<star> \*)? \| (?P<status>\d{3}) \| .+ \| .+ \|$", re.MULTILINE)


def load_everything() -> None:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.stem != "__main__":
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def descendants(error: type[PersonaError]) -> Iterator[type[PersonaError]]:
    for child in error.__subclasses__():
        if child.__module__.partition(".")[0] in PACKAGES:
            yield child
            yield from descendants(child)


def test_every_error_of_the_tree_has_a_kind_by_itself_or_an_ancestor() -> None:
    load_everything()
    tree = set(descendants(PersonaError))
    leaves = {error for error in tree if not any(issubclass(other, error) and other is not error for other in tree)}
    strangers = {error.__qualname__ for error in leaves if not any(each in ERROR_KINDS for each in error.__mro__)}
    assert len(leaves) > 30
    assert strangers == set()


def test_the_page_lists_every_code_with_its_status_and_no_other() -> None:
    page = {
        row["code"]: ErrorKind(row["code"], int(row["status"]), well_formed=bool(row["star"]))
        for row in ROW.finditer((ROOT / "docs" / "errors.md").read_text())
    }
    requests = {kind for error, kind in ERROR_KINDS.items() if issubclass(error, RequestError)}
    fields = {kind for error, kind in ERROR_KINDS.items() if not issubclass(error, RequestError)}
    told = {kind.code: kind for kind in fields | {INTERNAL}} | {kind.code: kind for kind in requests}
    assert page == told


def test_one_code_has_one_status() -> None:
    statuses = {(kind.code, kind.status) for kind in ERROR_KINDS.values()}
    assert len({code for code, _ in statuses}) == len(statuses)


def test_an_error_without_an_entry_takes_its_ancestors() -> None:
    class StillLate(DeadlineExceeded):
        pass

    assert kind_of(StillLate).code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("stranger", [ValueError, PersonaError, KeyError])
def test_strangers_are_internal(stranger: type[BaseException]) -> None:
    assert kind_of(stranger) is INTERNAL


def test_a_limit_says_what_was_received_and_what_is_allowed() -> None:
    error = LimitExceeded("depth", received=14, allowed=12)
    assert error.formatted() == [
        {
            "message": "the operation's depth is 14, at most 12 is allowed",
            "extensions": {"code": "LIMIT_EXCEEDED", "limit": "depth", "received": 14, "allowed": 12},
        }
    ]
