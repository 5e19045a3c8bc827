"""One operation of one request: execute it within a visit, and send what comes of it."""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from graphql import ExecutionResult
from opentelemetry.trace import Tracer

from gateway.answer import NO_STORE, Answer
from gateway.documents import Operation
from gateway.errors import RequestTimeout
from gateway.execution.engine import Engine, Ready
from gateway.execution.keeping import Note
from gateway.execution.kept import encode
from gateway.execution.masking import Telling
from gateway.execution.tracing import OperationTrace, operation_span
from gateway.incoming import Hangup
from gateway.incremental import Parts


class Previewer(Protocol):
    """What is asked of a viewer."""

    @property
    def may_preview(self) -> bool:
        """Whether the viewer may look behind an answer."""
        ...


class Visit(Protocol):
    """What is asked of a visit. It is the context of resolvers, and stays open until the last part is out.

    `trace` is set before anything is executed.
    """

    trace: OperationTrace | None

    @property
    def viewer(self) -> Previewer:
        """Who asks."""
        ...

    @property
    def segments(self) -> frozenset[str]:
        """The segments that the viewer was taken for."""
        ...

    def extensions(self) -> dict[str, object]:
        """What the visit adds to the answer's `extensions`; asked when the answer, or its first part, is ready."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for: an operation, with its variables taken in."""

    operation: Operation
    ready: Ready


class Exchange:
    """An operation on its way to its answer."""

    def __init__(
        self,
        *,
        engine: Engine,
        tracer: Tracer,
        asked: Asked,
        answer: Answer,
        explain: bool = False,
    ) -> None:
        self._engine = engine
        self._tracer = tracer
        self._operation = asked.operation
        self._ready = asked.ready
        self._answer = answer
        self._explain = explain
        self._telling = Telling()

    @property
    def code(self) -> str:
        """The code of the first error that was told, or `OK`."""
        return self._telling.code

    async def run(self, opening: AbstractAsyncContextManager[Visit], patience: asyncio.Timeout, hangup: Hangup) -> None:
        """Open the visit, execute, answer, close the visit.

        `patience` must be entered. It cuts the work short until the first part of an answer is out; an answer in parts
        then keeps to the same time by itself, and ends properly.
        """
        operation = self._operation
        with operation_span(self._tracer, operation.name, operation.kind.value, operation.hash) as trace:
            async with opening as visit:
                visit.trace = trace
                await self._within(visit, patience, hangup)
                if trace is not None:
                    trace.note_segments(visit.segments)
            if trace is not None:
                trace.note_errors(self._telling.count)

    async def _within(self, visit: Visit, patience: asyncio.Timeout, hangup: Hangup) -> None:
        notes: list[Note] | None = [] if self._explain and visit.viewer.may_preview else None
        result = await self._engine.execute(self._ready, visit, notes)
        if isinstance(result, ExecutionResult):
            extensions = visit.extensions()
            if notes is not None:
                extensions["cache"] = self._engine.explained(notes)
            body = self._body(result, extensions)
            hangup.release()
            cache_control = NO_STORE if result.errors or notes is not None else self._cache_control(result)
            await self._answer.whole(body, cache_control, self._engine.age(result) if "max-age" in cache_control else 0)
        else:
            wall = patience.when()
            patience.reschedule(None)
            await self._send_parts(Parts(result, self._telling, visit.extensions), wall, hangup)

    def _cache_control(self, result: ExecutionResult) -> str:
        shared = self._operation.shared_cache_control
        if not self._answer.shared or shared is None:
            return self._operation.cache_control
        return shared if self._engine.is_kept(result) else NO_STORE

    def _body(self, result: ExecutionResult, extensions: Mapping[str, object]) -> bytes:
        content: dict[str, object] = {}
        if result.errors:
            content["errors"] = self._telling.errors(result.errors)
        content["data"] = result.data
        if extensions:
            content["extensions"] = extensions
        return encode(content)

    async def _send_parts(self, parts: Parts, wall: float | None, hangup: Hangup) -> None:
        try:
            await self._answer.first(encode(parts.first()))
            more = True
            while more:
                part, more = await self._next(parts, wall)
                if not more:
                    hangup.release()
                await self._answer.following(part, last=not more)
        finally:
            await parts.aclose()

    async def _next(self, parts: Parts, wall: float | None) -> tuple[bytes, bool]:
        """The next part, and whether more follow."""
        patience = asyncio.timeout_at(wall)
        try:
            async with patience:
                part = await parts.next()
            return encode(part), parts.more
        except Exception as error:
            return encode(parts.cut(too_late() if patience.expired() else error)), False


def too_late() -> RequestTimeout:
    """What a request gets that took too long."""
    return RequestTimeout("the answer was not ready within the time a request may take")
