"""How the trace of a page goes on inside the hub."""

from opentelemetry.trace import SpanContext, format_span_id, format_trace_id

TRACEPARENT = "traceparent"


def traceparent(context: SpanContext) -> str | None:
    """The W3C `traceparent` of a span, None when it belongs to no trace."""
    if not context.is_valid:
        return None
    return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags:02x}"


def headers_of(context: SpanContext) -> dict[str, str]:
    """The headers of an event that this span caused; empty when it belongs to no trace."""
    parent = traceparent(context)
    return {} if parent is None else {TRACEPARENT: parent}
