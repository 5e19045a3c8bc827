"""The rules of pages, the same for every list: 1 to 100 items, cursors opaque."""

import strawberry

from resolvers.errors import InvalidArgument
from resolvers.sources.source import MAX_PAGE


def page_size(first: int) -> int:
    """`first` as given, or `InvalidArgument` when it is not 1 to 100."""
    if 1 <= first <= MAX_PAGE:
        return first
    raise InvalidArgument(f"`first` is {first}; it must be 1 to {MAX_PAGE}")


def batch_ids(ids: list[strawberry.ID]) -> list[str]:
    """`ids` as given, or `InvalidArgument` when there are more than 100."""
    if len(ids) <= MAX_PAGE:
        return [str(id_) for id_ in ids]
    raise InvalidArgument(f"`ids` has {len(ids)} members; at most {MAX_PAGE} are allowed")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Relay's page info for lists that are read forwards."""

    has_next_page: bool = strawberry.field(description="Whether more items follow.")
    has_previous_page: bool = strawberry.field(description="Whether this page was asked for with `after`.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first item; null when there is none.")
    end_cursor: str | None = strawberry.field(description="Cursor of the last item; the next page's `after`.")
