"""What the metadata of a personalized flag must keep to, so that a decision can be made among its variants."""

from collections.abc import Mapping
from typing import Any

from flags.errors import InvalidDefinition
from flags.rendering import version_of
from flags.rewards import is_reward, reward_of
from flags.terms import AUDIENCE, FLOOR, HOLDBACK, PERSONALIZED
from personalization.events import Persona
from personalization.join.reward import RewardRule


def check_personalized(variants: Mapping[str, Any], default: str | None, metadata: Mapping[str, Any]) -> None:
    """Raises `InvalidDefinition` for the first thing that is wrong with what makes a flag personalized.

    Members: `personalized` (true or false), `floor` (least probability of each variant), `holdback` (share of subjects
    that always get the default), `audience.<PERSONA>` (the variants a persona may see, separated by commas), and those
    of `reward_of`.
    """
    personalized = metadata.get(PERSONALIZED, False)
    if not isinstance(personalized, bool):
        raise InvalidDefinition(f"the metadata personalized is true or false; received {personalized!r}")
    bounds = {name: value for name, value in metadata.items() if name.startswith(AUDIENCE)}
    if not personalized:
        if bounds:
            raise InvalidDefinition(f"{min(bounds)} bounds a decision, and the flag is not personalized")
        if any(is_reward(name) for name in metadata):
            raise InvalidDefinition("the metadata reward is the worth of a decision, and the flag is not personalized")
        return
    _check_actions(variants, default)
    _check_share(HOLDBACK, metadata.get(HOLDBACK, 0.0))
    floor = _check_share(FLOOR, metadata.get(FLOOR, 0.0))
    if floor * len(variants) > 1:
        raise InvalidDefinition(f"a floor of {floor} for {len(variants)} variants is over 1 in all")
    for name, value in bounds.items():
        _check_audience(name, value, variants)
    reward_of(metadata, RewardRule())


def _check_actions(variants: Mapping[str, Any], default: str | None) -> None:
    if not all(isinstance(value, bool | str) or version_of(value) for value in variants.values()):
        raise InvalidDefinition("the variants of a personalized flag are texts, true and false, or have a `version`")
    if not default:
        raise InvalidDefinition("a personalized flag needs a defaultVariant, for when nothing is decided")


def _check_share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidDefinition(f"the metadata {name} is a number from 0 to 1; received {value!r}")
    return float(value)


def _check_audience(name: str, value: object, variants: Mapping[str, Any]) -> None:
    persona = name.removeprefix(AUDIENCE)
    if persona not in frozenset(Persona):
        raise InvalidDefinition(f"{name!r} names no persona: {sorted(map(str, Persona))}")
    named = [each.strip() for each in value.split(",")] if isinstance(value, str) else []
    unknown = [variant for variant in named if variant not in variants]
    if not named or unknown or len(set(named)) < len(named):
        raise InvalidDefinition(f"{name} lists some of {sorted(variants)}, each once, as 'v1,v2'; received {value!r}")
