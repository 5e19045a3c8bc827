"""What a client does with an answer in parts: take it apart, and merge it by the ids of what is pending."""

from copy import deepcopy
from typing import Any

import orjson

Part = dict[str, Any]


def multipart(content: bytes) -> list[Part]:
    """The parts of a `multipart/mixed` body with the boundary `graphql`; the framing is checked to the byte."""
    preamble, *parts, end = content.split(b"\r\n--graphql")
    assert preamble == b""
    assert end == b"--\r\n"
    head = b"\r\ncontent-type: application/json; charset=utf-8\r\n\r\n"
    assert all(part.startswith(head) for part in parts)
    return [orjson.loads(part.removeprefix(head)) for part in parts]


def events(content: bytes) -> list[Part]:
    """The `next` events of a `text/event-stream` body that ends with `complete`."""
    *nexts, complete, rest = content.split(b"\n\n")
    assert (complete, rest) == (b"event: complete\ndata: ", b"")
    head = b"event: next\ndata: "
    assert all(event.startswith(head) for event in nexts)
    return [orjson.loads(event.removeprefix(head)) for event in nexts]


def merged(parts: list[Part]) -> Part:
    """The answer that the parts add up to, as a client sees it after the last one."""
    first, *rest = deepcopy(parts)
    assert [part["hasNext"] for part in parts] == [True] * len(rest) + [False]
    data, errors = first.get("data"), list(first.get("errors", []))
    pending = {each["id"]: each["path"] for each in first.get("pending", [])}
    for part in rest:
        pending |= {each["id"]: each["path"] for each in part.get("pending", [])}
        for increment in part.get("incremental", []):
            errors += increment.get("errors", [])
            _add(_at(data, pending[increment["id"]] + increment.get("subPath", [])), increment)
        for completed in part.get("completed", []):
            errors += completed.get("errors", [])
            del pending[completed["id"]]
    assert pending == {}, "all that was pending has completed"
    return {"data": data, "errors": errors}


def _at(data: Any, path: list[str | int]) -> Any:
    for key in path:
        data = data[key]
    return data


def _add(target: Any, increment: Part) -> None:
    if "items" in increment:
        target.extend(increment["items"])
    else:
        _deepen(target, increment["data"])


def _deepen(target: Part, source: Part) -> None:
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _deepen(target[key], value)
        else:
            target[key] = value
