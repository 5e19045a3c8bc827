"""Which of a component's versions a client gets that cannot render all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from flags.definition import FlagDefinition, FlagValue

if TYPE_CHECKING:
    # Definitions are checked with what stands here, and evaluations are made of definitions.
    from flags.evaluation import Evaluation

OFF = "off"
VERSION = "version"
DOWNGRADED = "DOWNGRADED"
UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"

Supported = Mapping[str, Sequence[str]]


def version_of(value: FlagValue | None) -> str | None:
    """The version that a component's variant shows (`v2`); None where it is off, or has no versions."""
    if not isinstance(value, str):
        value = value.get(VERSION) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) and value != OFF else None


def can_render(definition: FlagDefinition, value: FlagValue, supports: Supported | None) -> bool:
    """Whether the client can show this variant of the flag; a flag that is no component's anybody can."""
    version, supported = version_of(value), _supported(definition, supports)
    return version is None or supported is None or version in supported


def rendered(
    evaluation: "Evaluation", definition: FlagDefinition, supports: Supported | None
) -> tuple["Evaluation", str | None]:
    """The answer as the client can render it, and a word where that is not the one that was chosen.

    `DOWNGRADED`: the newest lower version that it can; `UNSUPPORTED_VERSION`: there is none, so no variant is given.
    """
    chosen, supported = version_of(evaluation.value), _supported(definition, supports)
    if chosen is None or supported is None or chosen in supported:
        return evaluation, None
    lower = {
        number: variant
        for variant, value in definition.variants.items()
        if (version := version_of(value)) in supported and (number := _number(version)) < _number(chosen)
    }
    if not lower:
        return replace(evaluation, value=None, variant=None), UNSUPPORTED_VERSION
    variant = lower[max(lower)]
    return replace(evaluation, value=definition.variants[variant], variant=variant), DOWNGRADED


def _supported(definition: FlagDefinition, supports: Supported | None) -> Sequence[str] | None:
    component = definition.component
    return None if supports is None or component is None else supports.get(component)


def _number(version: str | None) -> int:
    """2 for `v2`; definitions are checked to have no other form."""
    return int(version[1:]) if version else 0
