"""Answers in parts: what each part holds, and how parts are written as `multipart/mixed` or as server-sent events."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Protocol

from graphql import GraphQLError
from graphql.execution import (
    ExperimentalIncrementalExecutionResults,
    InitialIncrementalExecutionResult,
    SubsequentIncrementalExecutionResult,
)
from graphql.execution.types import CompletedResult, IncrementalDeferResult, IncrementalStreamResult, PendingResult

from gateway.execution.masking import Telling
from gateway.negotiation import BOUNDARY, Media

Part = dict[str, object]


class PartWriter(Protocol):
    """How parts become bytes on the wire. A part can be read as soon as its bytes are there."""

    def first(self, part: bytes) -> bytes:
        """The first part, with what goes before."""
        ...

    def following(self, part: bytes) -> bytes:
        """Any later part."""
        ...

    def end(self) -> bytes:
        """What follows the last part."""
        ...


class MultipartWriter:
    """Parts of `multipart/mixed`; a part goes out with the delimiter that ends it, so that nobody waits for more."""

    _delimiter = f"\r\n--{BOUNDARY}".encode()
    _head = b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n"

    def first(self, part: bytes) -> bytes:
        return self._delimiter + self.following(part)

    def following(self, part: bytes) -> bytes:
        return self._head + part + self._delimiter

    def end(self) -> bytes:
        return b"--\r\n"


class EventWriter:
    """Events of GraphQL over SSE, distinct connections mode: a `next` for each part, then `complete`."""

    def first(self, part: bytes) -> bytes:
        return self.following(part)

    def following(self, part: bytes) -> bytes:
        return b"event: next\ndata: " + part + b"\n\n"

    def end(self) -> bytes:
        return b"event: complete\ndata: \n\n"


def writer_for(media: Media) -> PartWriter:
    """The writer of a media type that has parts."""
    return EventWriter() if media is Media.EVENTS else MultipartWriter()


class Parts:
    """The parts of one answer in order: the first, then as they come, until `more` is false.

    `telling` makes errors fit for the client. `extensions` is asked at the first and at the last part.
    """

    def __init__(
        self,
        results: ExperimentalIncrementalExecutionResults,
        telling: Telling,
        extensions: Callable[[], Mapping[str, object]],
    ) -> None:
        self._initial: InitialIncrementalExecutionResult = results.initial_result
        self._subsequent: AsyncGenerator[SubsequentIncrementalExecutionResult, None] = results.subsequent_results
        self._telling = telling
        self._extensions = extensions
        self._open: set[str] = set()
        self.more = True

    def first(self) -> Part:
        """The part that is ready at once."""
        initial = self._initial
        part = self._with_errors({"data": initial.data}, initial.errors)
        part["pending"] = self._pending(initial.pending)
        part["hasNext"] = True
        return self._with_extensions(part)

    async def next(self) -> Part:
        """The next part, once it is there. Whatever it raises, `cut` ends the answer properly."""
        result = await anext(self._subsequent)
        part: Part = {}
        if result.pending:
            part["pending"] = self._pending(result.pending)
        if result.incremental:
            part["incremental"] = [self._increment(each) for each in result.incremental]
        if result.completed:
            part["completed"] = [self._completed(each) for each in result.completed]
        part["hasNext"] = self.more = result.has_next
        return part if result.has_next else self._with_extensions(part)

    def cut(self, error: Exception) -> Part:
        """The last part of an answer that cannot go on: all that is pending completes with this error."""
        self.more = False
        errors = self._telling.failure(error)
        completed = [{"id": each, "errors": errors} for each in sorted(self._open)]
        return self._with_extensions({"completed": completed, "hasNext": False})

    async def aclose(self) -> None:
        """Stop the work behind parts that nobody waits for any more."""
        await self._subsequent.aclose()

    def _pending(self, pending: Sequence[PendingResult]) -> list[Any]:
        self._open.update(each.id for each in pending)
        return [each.formatted for each in pending]

    def _increment(self, result: IncrementalDeferResult | IncrementalStreamResult) -> Part:
        part: Part = {"items": result.items} if isinstance(result, IncrementalStreamResult) else {"data": result.data}
        part["id"] = result.id
        if result.sub_path:
            part["subPath"] = result.sub_path
        return self._with_errors(part, result.errors)

    def _completed(self, result: CompletedResult) -> Part:
        self._open.discard(result.id)
        return self._with_errors({"id": result.id}, result.errors)

    def _with_errors(self, part: Part, errors: Sequence[GraphQLError] | None) -> Part:
        if errors:
            part["errors"] = self._telling.errors(errors)
        return part

    def _with_extensions(self, part: Part) -> Part:
        if extensions := self._extensions():
            part["extensions"] = extensions
        return part
