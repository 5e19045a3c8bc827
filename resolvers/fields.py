"""How a field with a resolver is declared.

The class annotation gives the field's GraphQL type; the resolver works on the values of `sources/source.py` as they
are, without copying them into GraphQL objects: graphql-core reads attributes by name, whatever the class.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import strawberry

import resolvers.words  # noqa: F401 - names the enums before any type below uses them

if TYPE_CHECKING:
    from resolvers.plans import Planning

PLAN: Final = "plan"
"""Among the metadata of a field with a resolver: its `Planning`, or None."""


def resolved(
    resolver: Callable[..., object],
    *,
    description: str,
    directives: Sequence[object] = (),
    plan: "Planning | None" = None,
) -> Any:
    """A field computed by `resolver`; `plan` does the same for many viewers (resolvers/plans.py).

    Typed Any since the annotation beside it speaks of the schema.
    """
    return strawberry.field(resolver=resolver, description=description, directives=directives, metadata={PLAN: plan})


def listed(description: str, *directives: object) -> Any:
    """A field read off the value by name."""
    return strawberry.field(description=description, directives=directives)
