"""On which terms the variant of a personalized flag is decided, as the metadata of its definition says."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from flags.definition import FlagDefinition
from flags.rendering import Supported, can_render
from personalization.events import Persona

PERSONALIZED = "personalized"
FLOOR = "floor"
HOLDBACK = "holdback"
AUDIENCE = "audience."


@dataclass(frozen=True, slots=True)
class Terms:
    """What bounds the decision about one flag.

    No variant is drawn with a probability below `floor`; the share `holdback` of all subjects always gets the default
    variant. `audiences` holds, for each persona, the variants that it may see, in the order of the definition. Who has
    no persona, or one that is not ours, is a visitor.
    """

    floor: float
    holdback: float
    audiences: Mapping[str, tuple[str, ...]]

    def variants_for(self, persona: object) -> tuple[str, ...]:
        """The variants that this persona may see, in the order of the definition."""
        known = persona if isinstance(persona, str) and persona in self.audiences else Persona.VISITOR
        return self.audiences[known]

    def actions_for(
        self, definition: FlagDefinition, persona: object, supports: Supported | None = None
    ) -> tuple[str, ...]:
        """The variants that a decision chooses among: what this persona may see and its client can render.

        Empty where that leaves less than two, and there is nothing to decide.
        """
        actions = self.variants_for(persona)
        if supports is not None:
            actions = tuple(each for each in actions if can_render(definition, definition.variants[each], supports))
        return actions if len(actions) > 1 else ()


def terms_of(definition: FlagDefinition) -> Terms | None:
    """The terms of a personalized flag; None for a regular one."""
    metadata = definition.metadata
    if metadata.get(PERSONALIZED) is not True:
        return None
    audiences: dict[str, tuple[str, ...]] = {persona: _seen_by(persona, definition) for persona in Persona}
    return Terms(_share(metadata.get(FLOOR)), _share(metadata.get(HOLDBACK)), MappingProxyType(audiences))


def _seen_by(persona: Persona, definition: FlagDefinition) -> tuple[str, ...]:
    """The variants that a persona may see: all, unless the metadata names some."""
    named = definition.metadata.get(AUDIENCE + persona)
    allowed = definition.variants if named is None else [each.strip() for each in str(named).split(",")]
    return tuple(each for each in definition.variants if each in allowed)


def _share(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
