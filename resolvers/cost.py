"""What a field costs: the `@cost` and `@listSize` directives, read by the gateway to refuse what is too much."""

from collections.abc import Sequence

import strawberry
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="cost",
    description="What one item of this field costs. Without it an object costs 1 and a leaf 0.",
)
class Cost:
    """`weight` is in the unit of `GATEWAY_MAX_COST`: 1 is an object that needs no read of its own."""

    weight: int = strawberry.directive_field(name="weight")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="listSize",
    description="How many items this field gives: the cost of one item and of all below it counts that many times.",
)
class ListSize:
    """`slicing_arguments` name arguments that hold the size, or a list of that size; the largest given counts.

    Where none of them is given, `assumed_size` counts. Without the directive a field counts once, even if it is a list.
    """

    assumed_size: int | None = strawberry.directive_field(name="assumedSize", default=strawberry.UNSET)
    slicing_arguments: Sequence[str] | None = strawberry.directive_field(
        name="slicingArguments", default=strawberry.UNSET
    )
