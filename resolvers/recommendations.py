"""Shelves of products: a decision of the bandit over what the customer, the segment or everyone buys."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, Final

import strawberry
from strawberry import ID, Info, Parent

from flags.layers import PREVIEW
from personalization import events
from personalization.decision.lottery import Lottery
from personalization.decision.question import Question
from personalization.decision.service import DecisionService
from personalization.events import DecisionContext, DecisionMode, Persona, Placement, ShelfAction
from resolvers.cache_control import CacheControl, CacheScope
from resolvers.catalog import Product
from resolvers.context import Context, ContextArgument, EffectiveContext
from resolvers.cost import Cost, ListSize
from resolvers.fallbacks import CALLERS_FAULT
from resolvers.fields import listed, resolved
from resolvers.pagination import page_size
from resolvers.plans import Turn
from resolvers.sources import source
from resolvers.sources.source import ShelfKind, ShelfQuery
from resolvers.strongest import StrongestCategories
from resolvers.visit import StandingPlace, Visit

SHELVES = CacheControl(max_age=60, scope=CacheScope.SEGMENT, swr=30)
_BESTSELLERS = ShelfAction.BESTSELLERS.value
_DEFAULT_ACTIONS = (_BESTSELLERS,)


TOLD: Final = ("action", "probability", "policy", "mode", "reason")
"""All that `Decision` shows besides an id."""

told_of: Callable[[events.Chance | events.Decision], tuple[object, ...]] = attrgetter(*TOLD)


def _reportable_id(root: Parent[events.Decision]) -> str | None:
    return None if root.mode is DecisionMode.DEFAULT or root.reason == PREVIEW else root.id


@strawberry.type(description="A choice, and how it came to be.")
class Decision:
    """Shows `events.Decision`."""

    id: ID | None = resolved(
        _reportable_id,
        description="Give it back with the outcome. Null for the public default and for previews, from which nothing "
        "is learned.",
    )
    action: str = listed(
        "What was chosen: `category1`, `category2`, `bestsellers` or `trending` for a shelf, a variant for a component."
    )
    probability: float = listed("How probable the choice was, above 0 and at most 1.")
    policy: str = listed("Name and version of the policy that chose.")
    mode: DecisionMode = listed("How the decision came to be.")
    reason: str = listed("Why, in a word or a sentence.")


@dataclass(frozen=True, slots=True)
class Shelf:
    """A decision and the products it put on the shelf, as `Recommendations` shows them.

    `identity` says which products these are; None when they are what was at hand. `kept` are the ready selections of
    them; then there are no products.
    """

    decision: events.Decision
    products: Sequence[source.Product] = ()
    identity: ShelfQuery | None = None
    kept: Mapping[str, object] | None = None


@strawberry.type(description="A shelf of products.")
class Recommendations:
    """Shows a `Shelf`."""

    decision: Decision = listed("The decision behind the shelf.", CacheControl(max_age=0, scope=CacheScope.PRIVATE))
    products: list[Product] = listed("The products on the shelf, best first.", SHELVES)


async def _recommendations(
    info: Info[Visit, None],
    placement: Annotated[Placement, strawberry.argument(description="Where the shelf stands.")],
    first: Annotated[int, strawberry.argument(description="Products on the shelf, 1 to 100.")] = 12,
    context: ContextArgument = None,
) -> Shelf:
    visit, limit = info.context, page_size(first)
    try:
        if context is None:
            return await _default(visit, info.path.key, placement, limit)
        return await _decided(visit, info.path.key, placement, limit, context)
    except CALLERS_FAULT:
        raise
    except Exception as error:
        return _fallback(visit, placement, limit, context, error)


async def _default(visit: Visit, place: str | int, placement: Placement, limit: int) -> Shelf:
    decision = visit.decisions.default(DecisionContext(placement.value), _DEFAULT_ACTIONS, _BESTSELLERS)
    return await _filled(visit, place, Shelf(decision, identity=_everyones_shelf(limit)))


def _everyones_shelf(limit: int) -> ShelfQuery:
    return ShelfQuery(ShelfKind.BESTSELLERS, limit=limit)


async def _decided(visit: Visit, place: str | int, placement: Placement, limit: int, claimed: Context) -> Shelf:
    context = await visit.contexts.resolve(claimed)
    shelves = await _feasible(visit, context, limit)
    decision = visit.decisions.propose(
        context.for_decision(placement.value),
        tuple(shelves),
        default_action=_BESTSELLERS,
        subject=context.subject,
        session=visit.viewer.session,
        trace_id=visit.trace_id,
    )
    shelf = await _filled(visit, place, Shelf(decision, identity=shelves[decision.action]))
    if visit.preview is not None:
        return replace(shelf, decision=replace(decision, reason=PREVIEW))
    # Journalled only now: a decision whose shelf could not be filled was never seen by anybody.
    recorded = visit.decisions.record(decision)
    return shelf if recorded is decision else replace(shelf, decision=recorded)


async def _feasible(visit: Visit, context: EffectiveContext, limit: int) -> dict[str, ShelfQuery]:
    """What each action would put on the shelf; an action without a category to show is left out."""
    strongest = context.top_categories or await visit.strongest.of(context.persona, visit.personal_deadline)
    return _shelves(context, strongest, limit)


def _shelves(context: EffectiveContext, strongest: Sequence[str], limit: int) -> dict[str, ShelfQuery]:
    region = context.region
    shelves = {
        action.value: ShelfQuery(ShelfKind.BESTSELLERS, category, region, limit)
        for action, category in zip((ShelfAction.CATEGORY1, ShelfAction.CATEGORY2), strongest, strict=False)
    }
    shelves[_BESTSELLERS] = ShelfQuery(ShelfKind.BESTSELLERS, context.category, region, limit)
    shelves[ShelfAction.TRENDING.value] = ShelfQuery(ShelfKind.TRENDING, context.category, region, limit)
    return shelves


async def _filled(visit: Visit, place: str | int, shelf: Shelf) -> Shelf:
    """The shelf with its products, or with what is kept of them."""
    query = shelf.identity
    if query is None:
        return shelf
    kept = visit.keeper.place(str(place), "products", query)() if visit.keeper is not None else None
    if kept is not None:
        return Shelf(shelf.decision, (), query, kept)
    return Shelf(shelf.decision, await _load(visit, query), query)


@dataclass(frozen=True, slots=True)
class Refill:
    """The products of a shelf read anew, with no decision behind them."""

    products: Sequence[source.Product]
    identity: ShelfQuery
    kept: None = None


async def refill(visit: Visit, identity: object) -> Refill:
    """What a shelf of this identity holds now."""
    if not isinstance(identity, ShelfQuery):
        raise TypeError(f"a shelf is identified by a ShelfQuery, not by a {type(identity).__name__}")
    return Refill(await _load(visit, identity), identity)


async def _load(visit: Visit, query: ShelfQuery) -> Sequence[source.Product]:
    """The products of a shelf, from the shop."""
    products = await visit.loaders.shelves.load(query)
    visit.loaders.know(products)
    if query.kind is ShelfKind.BESTSELLERS:
        visit.standby.keep(query.category_id, products)
    return products


def _fallback(visit: Visit, placement: Placement, limit: int, claimed: Context | None, error: Exception) -> Shelf:
    """The default shelf from what is at hand. Nothing here may fail or wait."""
    reason = visit.fallbacks.because("recommendations", error)
    category = str(claimed.category) if claimed is not None and claimed.category is not None else None
    products = visit.standby.shelf(category, limit)
    visit.loaders.know(products)
    decision = visit.decisions.fallback(
        DecisionContext(placement.value),
        _DEFAULT_ACTIONS,
        _BESTSELLERS,
        reason,
        subject=visit.viewer.subject,
        session=visit.viewer.session,
        trace_id=visit.trace_id,
    )
    return Shelf(decision, products)


class GivenShelf:
    """A shelf of products that are kept; those of the same `TOLD` are alike."""

    __slots__ = ("_drawn", "_query", "kept", "own")

    def __init__(self, drawn: events.Drawn, query: ShelfQuery, kept: Mapping[str, object]) -> None:
        self._drawn = drawn
        self._query = query
        self.kept = kept
        self.own = drawn.id

    @property
    def alike(self) -> tuple[object, ...]:
        """As `Given.alike`."""
        return told_of(self._drawn.chance)

    @property
    def value(self) -> Shelf:
        """As `Given.value`."""
        return Shelf(self._drawn.decision, (), self._query, self.kept)


@dataclass(slots=True)
class EveryonesShelf:
    """The plan of the public default: one decision for all, over what is kept of its products.

    It was given so many `times` that are not counted yet.
    """

    decisions: DecisionService
    drawn: events.Drawn
    query: ShelfQuery
    place: StandingPlace
    times: int = 0

    def given(self, _turn: Turn) -> GivenShelf | None:
        """As `Plan.given`."""
        kept = self.place.look()
        if kept is None:
            return None
        self.times += 1
        return GivenShelf(self.drawn, self.query, kept)

    def settle(self) -> None:
        """As `Plan.settle`."""
        if self.times:
            self.decisions.count(self.drawn.chance, self.times)
            self.times = 0
        self.place.settle()


@dataclass(frozen=True, slots=True)
class PlannedShelf:
    """The plan for a context: a decision for each viewer, over what is kept of the products of each action.

    `strongest` are the categories it was made with; once the persona has others, it is good no more.
    """

    lottery: Lottery
    shop: source.CommerceSource
    categories: StrongestCategories
    persona: Persona
    strongest: tuple[str, ...]
    shelves: Mapping[str, tuple[ShelfQuery, StandingPlace]]

    def given(self, turn: Turn) -> GivenShelf | None:
        """As `Plan.given`."""
        if self.categories.at_hand(self.persona) != self.strongest:
            return None
        drawn = self.lottery.draw(turn)
        query, place = self.shelves[drawn.chance.action]
        kept = place.look() or self._filled(query, place, turn)
        if kept is None:
            return None
        turn.decided.append(drawn)
        return GivenShelf(drawn, query, kept)

    def settle(self) -> None:
        """As `Plan.settle`; decisions are counted one by one."""
        for _, place in self.shelves.values():
            place.settle()

    def _filled(self, query: ShelfQuery, place: StandingPlace, turn: Turn) -> Mapping[str, object] | None:
        """What is made of a shelf that is not kept, where its products are."""
        ids = self.shop.shelf_at_hand(query)
        return place.fill(ids, turn.left) if ids is not None else None


def _planned(
    visit: Visit, place: str, context: EffectiveContext | None, arguments: Mapping[str, Any]
) -> EveryonesShelf | PlannedShelf | None:
    placement, limit = arguments["placement"], page_size(arguments["first"])
    if visit.keeper is None:
        return None
    place_of = partial(visit.keeper.standing_place, place, "products")
    if context is None:
        asked, query = DecisionContext(placement.value), _everyones_shelf(limit)
        decision = visit.decisions.standing_default(asked, _DEFAULT_ACTIONS, _BESTSELLERS)
        return EveryonesShelf(visit.decisions, events.Drawn.of(decision), query, place_of(query))
    strongest = visit.strongest.at_hand(context.persona)
    if strongest is None or context.top_categories:
        return None
    shelves = _shelves(context, strongest, limit)
    question = Question(context.for_decision(placement.value), tuple(shelves), _BESTSELLERS)
    return PlannedShelf(
        lottery=visit.decisions.lottery(question),
        shop=visit.source,
        categories=visit.strongest,
        persona=context.persona,
        strongest=strongest,
        shelves={action: (query, place_of(query)) for action, query in shelves.items()},
    )


@strawberry.type
class RecommendationQueries:
    """The personalized shelves."""

    recommendations: Recommendations = resolved(
        _recommendations,
        description="Personalized. A shelf of products for a placement; without a context, the bestsellers.",
        directives=[
            CacheControl(max_age=0, scope=CacheScope.PRIVATE),
            Cost(weight=10),
            ListSize(slicing_arguments=["first"]),
        ],
        plan=_planned,
    )
