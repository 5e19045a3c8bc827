"""How a field with a resolver is declared.

The class annotation gives the field's GraphQL type; the resolver works on the values of `sources/source.py` as they
are, without copying them into GraphQL objects: graphql-core reads attributes by name, whatever the class.
"""

from collections.abc import Callable, Sequence
from typing import Any

import strawberry

import resolvers.words  # noqa: F401 - names the enums before any type below uses them


def resolved(resolver: Callable[..., object], *, description: str, directives: Sequence[object] = ()) -> Any:
    """A field computed by `resolver`. Typed Any since the annotation beside it speaks of the schema."""
    return strawberry.field(resolver=resolver, description=description, directives=directives)


def listed(description: str, *directives: object) -> Any:
    """A field read off the value by name."""
    return strawberry.field(description=description, directives=directives)
