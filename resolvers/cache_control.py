"""How long an answer may be kept and for whom: the `@cacheControl` directive on fields and types."""

from enum import Enum

import strawberry
from strawberry.schema_directive import Location


@strawberry.enum(description="For whom a kept answer is good.")
class CacheScope(Enum):
    """From the widest audience to the narrowest; the narrowest below a field wins."""

    PUBLIC = strawberry.enum_value("PUBLIC", description="The same for everyone.")
    SEGMENT = strawberry.enum_value("SEGMENT", description="The same for everyone with the same audience.")
    PRIVATE = strawberry.enum_value("PRIVATE", description="For this viewer alone.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.OBJECT],
    name="cacheControl",
    description="How many seconds an answer may be kept, for whom, and how much longer it may be served while renewed.",
)
class CacheControl:
    """`max_age` and `swr` are seconds."""

    max_age: int = strawberry.directive_field(name="maxAge")
    scope: CacheScope = strawberry.directive_field(name="scope", default=CacheScope.PUBLIC)
    swr: int = strawberry.directive_field(name="swr", default=0)
