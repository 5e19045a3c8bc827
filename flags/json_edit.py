"""Members added to a JSON text without touching the rest of it: people wrote it, and people read its differences."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\n\r]*")


def with_members(text: str, path: Sequence[str], members: Mapping[str, Any]) -> str:
    """The text with these members added at the end of the object that stands at `path`, in that object's layout.

    Raises:
        LookupError: no object stands at the path.
        ValueError: the text is no JSON.
    """
    start = _space(text, 0)
    for name in path:
        start = _value_of(text, start, name)
    if text[start] != "{":
        raise LookupError(f"{'/'.join(path)} is no object")
    _, end = json.JSONDecoder().raw_decode(text, start)
    brace = end - 1
    last = len(text[:brace].rstrip())
    first = _space(text, start + 1)
    lead = text[start + 1 : first] if last > start + 1 else ""
    # Members in a line go on in the line, members a line each get a line each.
    joint = f",{lead}" if "\n" in lead else ", "
    added = joint.join(f"{_json(name)}: {_json(value)}" for name, value in members.items())
    before = joint if last > start + 1 else ""
    return f"{text[:last]}{before}{added}{text[last:]}"


def _value_of(text: str, start: int, wanted: str) -> int:
    """Where the value of a member of the object at `start` begins."""
    if text[start] != "{":
        raise LookupError(f"there is no object with a member {wanted!r}")
    at = _space(text, start + 1)
    while text[at] == '"':
        name, at = json.JSONDecoder().raw_decode(text, at)
        at = _space(text, _space(text, at) + 1)
        if name == wanted:
            return at
        _, at = json.JSONDecoder().raw_decode(text, at)
        at = _space(text, at)
        if text[at] == ",":
            at = _space(text, at + 1)
    raise LookupError(f"there is no member {wanted!r}")


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
