"""How the trace of a page goes on inside the hub."""

import re

from opentelemetry.trace import SpanContext, TraceFlags

TRACEPARENT = "traceparent"

_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def traceparent(context: SpanContext) -> str | None:
    """The W3C `traceparent` of a span, None when it belongs to no trace."""
    trace_id, span_id, _, flags, _, is_valid = context  # a tuple; its properties take as long as the text
    return f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}" if is_valid else None


def headers_of(context: SpanContext) -> dict[str, str]:
    """The headers of an event that this span caused; empty when it belongs to no trace."""
    return headers_by(traceparent(context))


def headers_by(parent: str | None) -> dict[str, str]:
    """As `headers_of`, by the span's `traceparent`."""
    return {} if parent is None else {TRACEPARENT: parent}


def context_of(parent: str | None) -> SpanContext | None:
    """The span that a `traceparent` names, as one of another process; None when it is none, or malformed."""
    found = _FORM.fullmatch(parent or "")
    if found is None:
        return None
    trace_id, span_id, flags = (int(each, 16) for each in found.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None
