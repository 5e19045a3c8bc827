"""Spans in OTLP's wire format (opentelemetry-proto, trace.proto), written directly.

The SDK's encoder builds a message object for every span and attribute: measured, seven times as long as this, and a
thread that encodes holds up requests. What is rare (events, links, attributes that are not single values) goes to the
SDK's encoder, span by span.
"""

from collections.abc import Callable, Iterable, Mapping
from struct import Struct
from typing import Any, Protocol

from opentelemetry.trace import Link, SpanContext, SpanKind, Status
from opentelemetry.util.types import Attributes

LOW = (1 << 64) - 1
LONGEST_KEPT = 1000
HAS_IS_REMOTE = 0x100
IS_REMOTE = 0x200
IDS = Struct(">2sQQ2sQ")
PARENT = Struct(">2sQ")
TIMES = Struct("<cQcQ")
FLAGS = Struct("<2sI")
DOUBLE = Struct("<cd")
KINDS = {kind: b"\x30" + bytes((kind.value + 1,)) for kind in SpanKind}
SHORT = tuple(bytes((number,)) for number in range(0x80))
VALUES: Mapping[type, Callable[[Any], bytes]] = {
    str: lambda value: field(b"\x0a", value.encode()),
    bool: lambda value: b"\x10\x01" if value else b"\x10\x00",
    int: lambda value: b"\x18" + varint(value & LOW),
    float: lambda value: DOUBLE.pack(b"\x21", value),
}


class FinishedSpan(Protocol):
    """What is read of a span."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> SpanKind: ...
    @property
    def parent(self) -> SpanContext | None: ...
    @property
    def start_time(self) -> int | None: ...
    @property
    def end_time(self) -> int | None: ...
    @property
    def attributes(self) -> Attributes: ...
    @property
    def events(self) -> Iterable[object]: ...
    @property
    def links(self) -> Iterable[Link]: ...
    @property
    def status(self) -> Status: ...
    def get_span_context(self) -> SpanContext | None: ...


class SpanEncoder:
    """Encodes spans of one resource and scope. `otherwise` encodes a span as a `Span` message when it is unusual."""

    def __init__(self, resource: bytes, scope: bytes, otherwise: Callable[[FinishedSpan], bytes]) -> None:
        self._resource = field(b"\x0a", resource)
        self._scope = field(b"\x0a", scope)
        self._otherwise = otherwise
        self._keys: dict[str, bytes] = {}

    def request(self, spans: Iterable[FinishedSpan]) -> bytes:
        """An `ExportTraceServiceRequest`."""
        scope_spans = self._scope + b"".join([field(b"\x12", self._span(span)) for span in spans])
        return field(b"\x0a", self._resource + field(b"\x12", scope_spans))

    def _span(self, span: FinishedSpan) -> bytes:
        context = span.get_span_context()
        if context is None or context.trace_state or span.events or span.links:
            return self._otherwise(span)
        try:
            attributes = [self._attribute(key, value) for key, value in (span.attributes or {}).items()]
        except KeyError:
            return self._otherwise(span)
        name, parent = span.name.encode(), span.parent
        parts = [
            IDS.pack(b"\x0a\x10", context.trace_id >> 64, context.trace_id & LOW, b"\x12\x08", context.span_id),
            PARENT.pack(b"\x22\x08", parent.span_id) if parent is not None else b"",
            field(b"\x2a", name),
            KINDS[span.kind],
            TIMES.pack(b"\x39", span.start_time or 0, b"\x41", span.end_time or 0),
            *attributes,
            field(b"\x7a", _status(span.status)),
            FLAGS.pack(b"\x85\x01", HAS_IS_REMOTE | (IS_REMOTE if parent is not None and parent.is_remote else 0)),
        ]
        return b"".join(parts)

    def _attribute(self, key: str, value: object) -> bytes:
        """The attribute; `KeyError` for a value that is not a single one."""
        encoded = self._keys.get(key)
        if encoded is None:
            encoded = field(b"\x0a", key.encode())
            if len(self._keys) < LONGEST_KEPT:
                self._keys[key] = encoded
        return field(b"\x4a", encoded + field(b"\x12", VALUES[value.__class__](value)))


def _status(status: Status) -> bytes:
    """The code alone: descriptions repeat error messages. The code of a status that was not set is 0, and left out."""
    code = status.status_code.value
    return b"\x18" + bytes((code,)) if code else b""


def field(tag: bytes, content: bytes) -> bytes:
    """A length-delimited field."""
    return tag + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Seven bits a byte, lowest first, the eighth set on all but the last."""
    if number < 0x80:
        return SHORT[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
