"""What a personalized flag may be for a persona: the variants that a decision chooses among."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from flags.definition import FlagDefinition
from personalization.events import Persona

AUDIENCE: Final = "audience."


def is_personalized(metadata: Mapping[str, Any]) -> bool:
    """Whether a flag with this metadata is decided where its rules leave it open."""
    return metadata.get("personalized") is True


def variants_in(text: str) -> tuple[str, ...]:
    """The variants in a list as metadata has it: `v1,v2`."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def audience_of(flag: FlagDefinition, persona: str | None) -> tuple[str, ...]:
    """The variants that this persona may see, in the order of the flag; all of them where no bound is set for it.

    Who has no persona, or one that is not ours, is a visitor.
    """
    known = persona if persona in frozenset(Persona) else Persona.VISITOR
    bound = flag.metadata.get(f"{AUDIENCE}{known}")
    if not isinstance(bound, str):
        return tuple(flag.variants)
    allowed = variants_in(bound)
    return tuple(variant for variant in flag.variants if variant in allowed)


def candidates_of(
    flag: FlagDefinition, persona: str | None, supports: Mapping[str, Sequence[str]] | None = None
) -> tuple[str, ...]:
    """The variants that a decision for this persona chooses among: what it may see and its client can render.

    `supports` says which versions of a component the client can render; of components it leaves out it can render all.
    """
    seen = audience_of(flag, persona)
    rendered = (supports or {}).get(flag.component or "")
    if rendered is None:
        return seen
    renderable = (True, False, "off", *rendered)
    return tuple(variant for variant in seen if flag.variants[variant] in renderable)
