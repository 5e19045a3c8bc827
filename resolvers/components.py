"""UI components: which are on, in which version, and who decided."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

import strawberry
from strawberry import ID, Info
from strawberry.scalars import JSON

from flags.components import ComponentChoice, ComponentReason, Components, Slot
from flags.evaluation import Decider
from flags.layers import Answer, Ask
from flags.personalized import Giving, PersonalizedFlags
from flags.subject import Attribute, Subject
from personalization import events
from resolvers.cache_control import CacheControl, CacheScope
from resolvers.context import Context, ContextArgument, EffectiveContext
from resolvers.cost import Cost, ListSize
from resolvers.errors import InvalidArgument
from resolvers.fallbacks import CALLERS_FAULT, AnswerMode
from resolvers.fields import listed, resolved
from resolvers.observing import policy_tags, segment_tag, settled
from resolvers.plans import GivenList, Turn
from resolvers.recommendations import Decision, told_of
from resolvers.sources.source import MAX_PAGE
from resolvers.visit import Visit

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class GivenVariant:
    """A variant of a flag that a viewer was given, as `Exposure` shows it."""

    id: str | None
    flag_key: str
    variant: str
    decided_by: Decider


@dataclass(frozen=True, slots=True)
class Piece:
    """A choice and what it stands on, as `Component` shows them."""

    choice: ComponentChoice
    mode: AnswerMode

    @property
    def name(self) -> str:
        """Name of the component."""
        return self.choice.name

    @property
    def version(self) -> str | None:
        """Version to render."""
        return self.choice.version

    @property
    def enabled(self) -> bool:
        """Whether to render it at all."""
        return self.choice.enabled

    @property
    def reason(self) -> ComponentReason:
        """Why."""
        return self.choice.reason

    @property
    def decided_by(self) -> Decider:
        """The layer that decided."""
        return self.choice.decided_by

    @property
    def values(self) -> dict[str, Any] | None:
        """What the variant holds beside its version."""
        return dict(self.choice.values) or None

    @property
    def decision(self) -> events.Decision | None:
        """The decision that chose the variant."""
        return self.choice.decision

    @property
    def exposure(self) -> GivenVariant | None:
        """What to report when the viewer has seen it; None where no flag gave a variant."""
        choice = self.choice
        if choice.flag_key is None or choice.variant is None:
            return None
        return GivenVariant(choice.exposure_id, choice.flag_key, choice.variant, choice.decided_by)


@strawberry.type(description="A variant of a flag that the viewer was given.")
class Exposure:
    """Shows a `GivenVariant`."""

    id: ID | None = listed(
        "Give it back with the events `rendered` and `seen`. Null for the public default, for previews, and "
        "in what a CDN keeps for an audience."
    )
    flag_key: str = listed("Key of the flag.")
    variant: str = listed("The variant that was given.")
    decided_by: Decider = listed("The layer that gave it.")


@strawberry.type(description="A UI component. One that is off stays in the list and says why.")
class Component:
    """Shows a `Piece`."""

    name: str = listed("Name of the component.")
    version: str | None = listed("Version to render, such as `v2`; null where it is off or has no versions.")
    enabled: bool = listed("Whether to render it.")
    reason: ComponentReason = listed("Why it is as it is.")
    mode: AnswerMode = listed("What the answer stands on.")
    decided_by: Decider = listed("The layer that decided.")
    values: JSON | None = listed("What the variant holds beside its version, as an object; null where that is nothing.")
    decision: Decision | None = listed(
        "The decision that chose the variant, or held the viewer back; null where another layer decided.",
        CacheControl(max_age=0, scope=CacheScope.PRIVATE),
    )
    exposure: Exposure | None = listed("The variant given; null where no flag gave one.")


async def _components(
    info: Info[Visit, None],
    names: Annotated[list[str] | None, strawberry.argument(description="Only these, up to 100, in this order.")] = None,
    page: Annotated[str | None, strawberry.argument(description="Only those on this page, such as `home`.")] = None,
    context: ContextArgument = None,
) -> Sequence[Piece]:
    _check(names, page)
    visit = info.context
    used, mode = await _asked_for(visit, context)
    panel = visit.components.panel(visit.flags.flags, names, page)
    return _pieces(panel.slots, await visit.flags.answer(panel.keys, used), mode)


def _pieces(slots: Sequence[Slot | ComponentChoice], answers: Sequence[Answer], mode: AnswerMode) -> list[Piece]:
    """What stands in the slots by the answers of their flags."""
    left = iter(answers)
    return [Piece(slot.choice(next(left)) if isinstance(slot, Slot) else slot, mode) for slot in slots]


@dataclass(frozen=True, slots=True)
class PlannedComponents:
    """The plan for a context: flags asked for each viewer, as long as nothing has to be decided for it.

    `traits` are what rules read of the context.
    """

    components: Components
    flags: PersonalizedFlags
    names: Sequence[str] | None
    page: str | None
    traits: Mapping[str, Attribute]
    supports: Mapping[str, Sequence[str]] | None
    tags: frozenset[str]

    def given(self, turn: Turn) -> GivenList | None:
        """As `Plan.given`."""
        flags = self.components.current
        if flags.timed:  # what it gives is good for this moment alone
            return None
        panel = self.components.panel(flags, self.names, self.page)
        subject = Subject(turn.subject, self.traits)
        ask = Ask(subject, turn.session, self.supports, trace_id=turn.trace_id, span=turn.span)
        giving = self.flags.at_hand(flags, panel.keys, ask)
        if giving is None or not settled(giving.answers):
            return None
        turn.left.append(giving.ids)
        filled = _Filled(panel.slots, giving)
        tags = partial(self._tags_of, giving.answers)
        return GivenList(list(map(_alike, filled.pieces)), filled.item, filled.own, tags)

    def settle(self) -> None:
        """As `Plan.settle`: flags count their answers themselves."""

    def _tags_of(self, answers: Sequence[Answer]) -> frozenset[str]:
        return self.tags | policy_tags(answers)


class _Filled:
    """What stands in the slots by the answers of their flags, which are about to be given."""

    __slots__ = ("_giving", "_ids", "pieces")

    def __init__(self, slots: Sequence[Slot | ComponentChoice], giving: Giving) -> None:
        answers = iter(giving.answers)
        self.pieces = [(slot, next(answers)) if isinstance(slot, Slot) else slot for slot in slots]
        self._giving = giving
        self._ids: list[str | None] = []

    def item(self, number: int) -> Piece:
        """As of `GivenList`."""
        piece = self.pieces[number]
        if isinstance(piece, ComponentChoice):
            return Piece(piece, AnswerMode.PERSONALIZED)
        slot, answer = piece
        given = replace(answer, exposure_id=self._exposure_ids()[number])
        return Piece(slot.choice(given), AnswerMode.PERSONALIZED)

    def own(self, number: int) -> Sequence[str]:
        """As of `GivenList`: the ids of the exposure and of the decision."""
        piece, ids = self.pieces[number], [self._exposure_ids()[number]]
        if isinstance(piece, tuple) and piece[1].decision is not None:
            ids.append(piece[1].decision.id)
        return [each for each in ids if each is not None]

    def _exposure_ids(self) -> Sequence[str | None]:
        """The id of the exposure in each slot. Whoever asks for them gives the answers."""
        if not self._ids:
            ids = iter(self._giving.ids())
            self._ids = [next(ids) if isinstance(each, tuple) else None for each in self.pieces]
        return self._ids


def _alike(piece: tuple[Slot, Answer] | ComponentChoice) -> Hashable:
    """All that is told of a component, but for ids."""
    if isinstance(piece, ComponentChoice):
        return piece.name, piece.reason
    slot, answer = piece
    evaluation, decision = answer.evaluation, answer.decision
    told = told_of(decision) if decision is not None else None
    return slot.flag, evaluation.variant, evaluation.reason, evaluation.decided_by, answer.why, told


def _planned(
    visit: Visit, _place: str, context: EffectiveContext | None, arguments: Mapping[str, Any]
) -> PlannedComponents | None:
    if context is None:
        return None
    return PlannedComponents(
        components=visit.components,
        flags=visit.flags.answers,
        names=arguments.get("names"),
        page=arguments.get("page"),
        traits=context.flag_subject().attributes,
        supports=dict(context.supports) if context.supports is not None else None,
        tags=frozenset() if context.segment is None else frozenset({segment_tag(context.segment)}),
    )


async def _asked_for(visit: Visit, claimed: Context | None) -> tuple[EffectiveContext | None, AnswerMode]:
    if claimed is None:
        return None, AnswerMode.DEFAULT
    try:
        return await visit.contexts.resolve(claimed), AnswerMode.PERSONALIZED
    except CALLERS_FAULT:
        raise
    except Exception as error:
        visit.fallbacks.because("components", error)
        return None, AnswerMode.FALLBACK


def _check(names: list[str] | None, page: str | None) -> None:
    if names is not None and len(names) > MAX_PAGE:
        raise InvalidArgument(f"`names` has {len(names)} members; at most {MAX_PAGE} are allowed")
    longest = max((len(text) for text in (*(names or ()), page or "")), default=0)
    if longest > _LONGEST_NAME:
        raise InvalidArgument(f"a name has {longest} characters; at most {_LONGEST_NAME} are allowed")


@strawberry.type
class ComponentQueries:
    """The personalized pieces of a page."""

    components: list[Component] = resolved(
        _components,
        description="Personalized. UI components with their versions; without a context, what everyone gets.",
        directives=[
            CacheControl(max_age=60, scope=CacheScope.SEGMENT, swr=30),
            Cost(weight=1),
            ListSize(assumed_size=20, slicing_arguments=["names"]),
        ],
        plan=_planned,
    )
