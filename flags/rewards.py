"""What a decision about a flag is worth, as the metadata of its definition says: the one place where that stands."""

from collections.abc import Iterable, Mapping
from typing import Any

from flags.definition import FlagDefinition
from flags.errors import InvalidDefinition
from flags.terms import PERSONALIZED
from personalization.events import OutcomeKind
from personalization.join.reward import RewardRule
from personalization.join.rules_file import InvalidRules, rule_of

REWARD = "reward"
_OTHERS = ("display_s", "display_value", "window_s", "assume_displayed")


def reward_of(metadata: Mapping[str, Any], default: RewardRule) -> RewardRule | None:
    """The rule in the metadata of a flag; what it leaves out is as in `default`. None where it says nothing of it.

    `reward.<OUTCOME>` is the worth of an outcome, `reward.display_value` that of `reward.display_s` seconds of display;
    `reward.window_s` and `reward.assume_displayed` are those of `RewardRule`.

    Raises:
        InvalidDefinition: a name or a value is of another form.
    """
    said = {name.removeprefix(f"{REWARD}."): value for name, value in metadata.items() if is_reward(name)}
    if not said:
        return None
    unknown = sorted(said.keys() - frozenset(OutcomeKind) - frozenset(_OTHERS))
    if unknown:
        known = ", ".join((*OutcomeKind, *_OTHERS))
        raise InvalidDefinition(f"the metadata reward has {unknown[0]!r:.80}, and should have some of {known}")
    members: dict[str, object] = {name: value for name, value in said.items() if name in _OTHERS}
    values = {name: value for name, value in said.items() if name not in _OTHERS}
    try:
        return rule_of(REWARD, {**members, "values": values} if values else members, default)
    except InvalidRules as error:
        raise InvalidDefinition(f"the metadata {error}") from error


def is_reward(name: str) -> bool:
    """Whether metadata of this name is about the reward."""
    return name == REWARD or name.startswith(f"{REWARD}.")


def reward_rules(flags: Iterable[FlagDefinition], default: RewardRule) -> dict[str, RewardRule]:
    """The rules of the personalized flags among these that have one, by the placement of their decisions."""
    personalized = (flag for flag in flags if flag.metadata.get(PERSONALIZED) is True)
    rules = {flag.placement: reward_of(flag.metadata, default) for flag in personalized}
    return {placement: rule for placement, rule in rules.items() if rule is not None}
