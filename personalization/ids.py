"""Ids that sort by the time they were made."""

from collections.abc import Callable

from uuid_utils import uuid7

Ids = Callable[[], str]


def new_id() -> str:
    """A UUID of version 7: 48 bits of time, 74 random ones, in lower case with hyphens."""
    return str(uuid7())
