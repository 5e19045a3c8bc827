"""Rules of single placements from a JSON file: what engagement with a component is worth, and for how long."""

from collections.abc import Mapping
from datetime import timedelta
from math import isfinite
from pathlib import Path
from typing import TypeGuard

import orjson

from personalization.errors import PersonaError
from personalization.events import MOST_REWARD, OutcomeKind
from personalization.join.reward import RewardRule

LONGEST_WINDOW_S = 86_400.0

_MEMBERS = {"values", "window_s", "assume_displayed"}


class InvalidRules(PersonaError):
    """A file of rules breaks one of its own: which placement, which member, what was received."""


def read_rules(path: Path, default: RewardRule) -> Mapping[str, RewardRule]:
    """The rules in a file, by placement: `{"component:hero": {"values": {"PURCHASED": 1.0}, "window_s": 1800}}`.

    `values` are the worth of outcomes by kind, up to 3, which is the most that is learned from; `window_s` is up to a
    day; what is left out is as in `default`. Blocks.

    Raises:
        InvalidRules: the file cannot be read, or something in it is of another form.
    """
    try:
        members = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InvalidRules(f"the rules in {path.name} cannot be read: {error}") from error
    if not isinstance(members, dict) or "" in members:
        raise InvalidRules(f"{path.name} is no JSON object of rules by placement")
    return {placement: _rule(placement, each, default) for placement, each in members.items()}


def _rule(placement: str, members: object, default: RewardRule) -> RewardRule:
    if not isinstance(members, dict) or not members.keys() <= _MEMBERS:
        raise InvalidRules(
            f"{placement}: a rule has the members {', '.join(sorted(_MEMBERS))}; received {members!r:.80}"
        )
    displayed = members.get("assume_displayed", default.assume_displayed)
    if not isinstance(displayed, bool):
        raise InvalidRules(f"{placement}.assume_displayed: true or false expected, got {displayed!r:.80}")
    values = _values(placement, members["values"]) if "values" in members else default.values
    window = _window(placement, members["window_s"]) if "window_s" in members else default.window
    return RewardRule(values, window, displayed)


def _values(placement: str, members: object) -> tuple[tuple[OutcomeKind, float], ...]:
    if not isinstance(members, dict) or not members:
        raise InvalidRules(f"{placement}.values: an object of numbers by outcome expected, got {members!r:.80}")
    for kind, value in members.items():
        if kind not in OutcomeKind.__members__:
            raise InvalidRules(f"{placement}.values: {kind!r:.80} is not known, one of {', '.join(OutcomeKind)} is")
        if not _number(value) or not 0 <= value <= MOST_REWARD:
            raise InvalidRules(
                f"{placement}.values.{kind}: a number from 0 to {MOST_REWARD} expected, got {value!r:.80}"
            )
    return tuple((OutcomeKind(kind), float(value)) for kind, value in members.items())


def _window(placement: str, value: object) -> timedelta:
    if not _number(value) or not 0 < value <= LONGEST_WINDOW_S:
        raise InvalidRules(f"{placement}.window_s: seconds up to {LONGEST_WINDOW_S:.0f} expected, got {value!r:.80}")
    return timedelta(seconds=value)


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
