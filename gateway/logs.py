"""Logs: one JSON object a line on stdout, each with the trace it belongs to. Uvicorn and all libraries log through it.

What goes in is event names, ids of the gateway's own making and figures. Errors are logged by kind and place; what they
say may repeat what a client sent, so it is left out unless the level is DEBUG.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import orjson
import structlog
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from structlog.typing import EventDict, Processor, WrappedLogger

LONGEST_LINE = 300
DEEPEST_FRAMES = 30
REMOVED = "[removed]"
PERSONAL = frozenset(
    {
        "arguments",
        "authorization",
        "body",
        "cookie",
        "customer",
        "customer_id",
        "email",
        "headers",
        "password",
        "phone",
        "query",
        "session",
        "subject",
        "token",
        "url",
        "variables",
        "viewer",
        "visitor",
    }
)
CHATTY = ("httpx", "httpcore", "urllib3", "asyncio", "opentelemetry")


def configure_logging(level: str = "INFO", *, stream: TextIO | None = None, json: bool | None = None) -> None:
    """Send all logs of this process to `stream` (stdout): JSON lines, or readable ones where it is a terminal.

    Calling it again replaces what was configured before. An unknown level raises `ValueError`.
    """
    out = stream or sys.stdout
    least = logging.getLevelNamesMapping().get(level.upper())
    if least is None:
        raise ValueError(f"log level {level!r} is not known; take DEBUG, INFO, WARNING, ERROR or CRITICAL")
    as_json = not out.isatty() if json is None else json
    shared = _processors(with_messages=least <= logging.DEBUG)
    render: Processor = structlog.processors.JSONRenderer(_to_json) if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _configure_libraries(out, least, shared, render)


def _processors(*, with_messages: bool) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_trace,
        remove_personal,
        describe_error(with_messages=with_messages),
    ]


def _configure_libraries(out: TextIO, least: int, shared: list[Processor], render: Processor) -> None:
    """Hand the records of the standard library's loggers through the same processors."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[first_line, structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(least)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))
    # The request line holds paths, queries and addresses; `TraceMiddleware` logs requests without them.
    logging.getLogger("uvicorn.access").disabled = True


def _to_json(event: EventDict, **_: Any) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()


def add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add `trace_id` and `span_id` of the running span, if there is one."""
    context = get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
        event["span_id"] = format_span_id(context.span_id)
    return event


def remove_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank members whose names say that they hold what a client sent or who it is."""
    for key in PERSONAL & event.keys():
        event[key] = REMOVED
    return event


def first_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep a library's message to its first line: further ones quote objects and errors.

    Of a whole traceback the last line stays: that is how an application that does not start is reported.
    """
    lines = str(event["event"]).strip().splitlines() or [""]
    event["event"] = lines[-1 if lines[0].startswith("Traceback") else 0][:LONGEST_LINE]
    return event


def describe_error(*, with_messages: bool) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """A processor that turns `exc_info` into `error`: kinds and frames along the chain of causes."""

    def describe(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        raised = _raised(event.pop("exc_info", None))
        if raised is not None:
            event["error"] = [_described(error, with_messages=with_messages) for error in _chain(raised)]
        return event

    return describe


def _raised(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    found = exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1] if exc_info else None
    return found if isinstance(found, BaseException) else None


def _chain(error: BaseException) -> list[BaseException]:
    """The error, then what caused it, and so on; each once."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return chain


def _described(error: BaseException, *, with_messages: bool) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)[-DEEPEST_FRAMES:]
    described: dict[str, object] = {
        "kind": type(error).__qualname__,
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if with_messages:
        described["message"] = str(error)
    return described
