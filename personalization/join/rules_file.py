"""Rules of single placements as somebody wrote them: what engagement with a component is worth, and for how long."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from math import isfinite
from pathlib import Path
from typing import TypeGuard

import orjson

from personalization.errors import PersonaError
from personalization.events import MOST_REWARD, OutcomeKind
from personalization.join.reward import RewardRule

LONGEST_WINDOW_S = 86_400.0

_MEMBERS = {"values", "window_s", "assume_displayed", "display_s", "display_value"}


class InvalidRules(PersonaError):
    """A rule breaks one of its own: which placement, which member, what was received."""


def read_rules(path: Path, default: RewardRule) -> Mapping[str, RewardRule]:
    """The rules in a file, by placement: `{"component:hero": {"values": {"PURCHASED": 1.0}, "window_s": 1800}}`.

    Each is as `rule_of` takes it. Blocks.

    Raises:
        InvalidRules: the file cannot be read, or something in it is of another form.
    """
    try:
        members = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InvalidRules(f"the rules in {path.name} cannot be read: {error}") from error
    if not isinstance(members, dict) or "" in members:
        raise InvalidRules(f"{path.name} is no JSON object of rules by placement")
    return {placement: rule_of(placement, each, default) for placement, each in members.items()}


def rule_of(placement: str, members: object, default: RewardRule) -> RewardRule:
    """The rule that these members describe; what is left out is as in `default`.

    `values` are the worth of outcomes by kind, and `display_value` (1 unless given) that of at least `display_s`
    seconds of display; no worth is above 3, the most that is learned from. A rule that has one of them says with it all
    that counts. `window_s` is up to a day, and stands beside every `display_s`, which cannot be longer.

    Raises:
        InvalidRules: something is of another form; the message begins with `placement`.
    """
    if not isinstance(members, dict) or not members.keys() <= _MEMBERS:
        raise InvalidRules(
            f"{placement}: a rule has the members {', '.join(sorted(_MEMBERS))}; received {members!r:.80}"
        )
    displayed = members.get("assume_displayed", default.assume_displayed)
    if not isinstance(displayed, bool):
        raise InvalidRules(f"{placement}.assume_displayed: true or false expected, got {displayed!r:.80}")
    window = _window(placement, members["window_s"]) if "window_s" in members else default.window
    display = _display(placement, members)
    if "values" in members:
        return RewardRule(_values(placement, members["values"]), window, displayed, *display)
    if display[0] is not None:
        return RewardRule((), window, displayed, *display)
    return replace(default, window=window, assume_displayed=displayed)


def _values(placement: str, members: object) -> tuple[tuple[OutcomeKind, float], ...]:
    if not isinstance(members, dict) or not members:
        raise InvalidRules(f"{placement}.values: an object of numbers by outcome expected, got {members!r:.80}")
    for kind in members:
        if kind not in OutcomeKind.__members__:
            raise InvalidRules(f"{placement}.values: {kind!r:.80} is not known, one of {', '.join(OutcomeKind)} is")
    return tuple((OutcomeKind(kind), _worth(f"{placement}.{kind}", value)) for kind, value in members.items())


def _display(placement: str, members: Mapping[str, object]) -> tuple[float | None, float]:
    """How many seconds of display count, if any do, and what they are worth."""
    if "display_s" not in members:
        if "display_value" in members:
            raise InvalidRules(f"{placement}.display_value: is the worth of a display_s, and there is none")
        return None, 1.0
    seconds, window = members["display_s"], members.get("window_s")
    if not _number(seconds) or not _number(window) or not 0 < seconds <= window:
        raise InvalidRules(
            f"{placement}.display_s: seconds above 0 within a window_s beside it expected, got {seconds!r:.80} "
            f"and {window!r:.80}"
        )
    return float(seconds), _worth(f"{placement}.display_value", members.get("display_value", 1.0))


def _worth(member: str, value: object) -> float:
    if not _number(value) or not 0 <= value <= MOST_REWARD:
        raise InvalidRules(f"{member}: a number from 0 to {MOST_REWARD} expected, got {value!r:.80}")
    return float(value)


def _window(placement: str, value: object) -> timedelta:
    if not _number(value) or not 0 < value <= LONGEST_WINDOW_S:
        raise InvalidRules(f"{placement}.window_s: seconds up to {LONGEST_WINDOW_S:.0f} expected, got {value!r:.80}")
    return timedelta(seconds=value)


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
