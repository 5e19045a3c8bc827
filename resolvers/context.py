"""The context: what personalization may use. Claimed by a client, checked against its rights, filled in."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from flags.subject import Attribute, Subject
from personalization.classification.profiles import Assigned
from personalization.events import DecisionContext, Device, Persona, Season
from resolvers.errors import ForbiddenContext, InvalidArgument
from resolvers.fields import listed
from resolvers.season import season
from resolvers.segmenting import Segmenter
from resolvers.sources.source import Customer
from resolvers.viewer import Audience, Viewer

_REGION = re.compile(r"[A-Za-z0-9-]{1,16}")
_APP_VERSION = re.compile(r"[A-Za-z0-9.+-]{1,32}")
_VERSION = re.compile(r"v[0-9]{1,4}")
_MOST_SUPPORTED = 200


@strawberry.input(description="A version of a component that the client can render.")
class ComponentVersion:
    """One line of `Context.supports`."""

    name: str = listed("Name of the component, such as `hero`.")
    version: str = listed("Version the client can render, such as `v2`.")


@strawberry.input(
    description="What personalization may use. Every member may be left out and is then filled in from the viewer, "
    "the request and the clock. The context really used is in `extensions.context`."
)
class Context:
    """What a client claims."""

    customer_id: ID | None = strawberry.field(
        default=None,
        description="On whose behalf: the viewer itself, or a customer that sponsors under it. Others are forbidden.",
    )
    persona: Persona | None = strawberry.field(
        default=None, description="Persona to show the page as; needs the preview right unless it is the viewer's own."
    )
    category: ID | None = strawberry.field(default=None, description="Category the page is about.")
    region: str | None = strawberry.field(default=None, description="Region to show the page for.")
    season: Season | None = strawberry.field(default=None, description="Season to show the page for.")
    device: Device | None = strawberry.field(default=None, description="Kind of screen.")
    app_version: str | None = strawberry.field(
        default=None, description="Version of the client's program, such as `2.1.0`, for flags that depend on it."
    )
    supports: list[ComponentVersion] | None = strawberry.field(
        default=None, description="Versions of components the client can render; left out, it can render all."
    )

    def identity(self) -> object:
        """Equal for claims that are equal.

        Raises:
            InvalidArgument: a member is malformed.
        """
        return (
            self.customer_id,
            self.persona,
            self.category,
            self.region,
            self.season,
            self.device,
            _checked_version(self.app_version),
            _supports(self.supports),
        )


ContextArgument = Annotated[
    Context | None,
    strawberry.argument(description="What personalization may use. Left out or null: the public default."),
]


@dataclass(frozen=True, slots=True)
class EffectiveContext:
    """The context really used: claimed members where allowed, the rest filled in.

    `role` is the persona that somebody really is, whatever is previewed. `top_categories` are the customer's strongest
    categories, strongest first; empty where unknown.
    `subject` is the pseudonym a decision and a flag stick to; empty for a whole audience. `assigned` says of `segment`
    how probable it is and where it comes from; None of an audience, and where no segment is known.
    """

    subject: str
    persona: Persona
    customer_id: str | None = None
    segment: str | None = None
    category: str | None = None
    region: str | None = None
    season: Season | None = None
    device: Device | None = None
    role: str | None = None
    app_version: str | None = None
    supports: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    top_categories: tuple[str, ...] = ()
    assigned: Assigned | None = None

    def public(self) -> dict[str, Attribute | None]:
        """What `extensions.context` says, in the schema's names."""
        return {"customerId": self.customer_id, **self._traits()}

    def for_decision(self, placement: str) -> DecisionContext:
        """What the policy sees."""
        return DecisionContext(
            placement=placement,
            persona=self.persona.value,
            segment=self.segment,
            category=self.category,
            region=self.region,
            season=self.season.value if self.season else None,
            device=self.device.value if self.device else None,
        )

    def flag_subject(self) -> Subject:
        """Who flags are asked for."""
        known = {name: value for name, value in self._traits().items() if value is not None}
        return Subject(self.subject or None, known)

    def _traits(self) -> dict[str, Attribute | None]:
        """What may be known of anybody, in the schema's names, which are those of flags too."""
        return {
            "persona": self.persona.value,
            "segment": self.segment,
            "category": self.category,
            "region": self.region,
            "season": self.season.value if self.season else None,
            "device": self.device.value if self.device else None,
            "role": self.role,
            "appVersion": self.app_version,
        }


CustomerLoad = Callable[[str], Awaitable[Customer | None]]


@dataclass(slots=True)
class Contexts:
    """Resolves what clients claim, each distinct claim once a visit.

    `greet` is told of which audience the viewer is, as soon as it is known; once at most.
    """

    viewer: Viewer
    now: datetime
    customer: CustomerLoad
    segments: Segmenter
    greet: Callable[[Audience], None] | None = None
    _resolved: dict[object, EffectiveContext] = field(default_factory=dict)
    _resolving: dict[object, asyncio.Future[EffectiveContext]] = field(default_factory=dict)
    _last: tuple[Context, EffectiveContext] | None = None

    async def resolve(self, claimed: Context) -> EffectiveContext:
        """The effective context of a claim; nobody has to wait unless a customer must be read.

        Raises:
            ForbiddenContext: the viewer may not claim it.
            InvalidArgument: a member is malformed.
            SourceError, DeadlineExceeded: the customer could not be read, so the right could not be checked.
        """
        resolved = self.at_hand(claimed)
        if resolved is not None:
            return resolved
        key, customer_id = claimed.identity(), str(self._customer_id(claimed))
        resolving = self._resolving.get(key)
        if resolving is None:
            resolving = self._resolving[key] = asyncio.ensure_future(self._with_customer(key, claimed, customer_id))
            resolving.add_done_callback(_retrieve)
        # Shielded: one field that is cancelled must not take the context from the others.
        return await asyncio.shield(resolving)

    def at_hand(self, claimed: Context) -> EffectiveContext | None:
        """The effective context of a claim, None when a customer must be read for it; raises as `resolve` does."""
        same = self._last
        if same is not None and same[0] is claimed:
            return same[1]
        key = claimed.identity()
        resolved = self._resolved.get(key)
        if resolved is None and self._customer_id(claimed) is None:
            resolved = self._resolved[key] = self._without_customer(claimed)
        if resolved is not None:
            self._last = (claimed, resolved)
        return resolved

    @property
    def used(self) -> tuple[EffectiveContext, ...]:
        """The distinct contexts resolved so far, first one first."""
        return (
            tuple(self._resolved.values()) if len(self._resolved) < 2 else tuple(dict.fromkeys(self._resolved.values()))
        )

    def _customer_id(self, claimed: Context) -> str | None:
        return str(claimed.customer_id) if claimed.customer_id is not None else self.viewer.customer_id

    def _without_customer(self, claimed: Context) -> EffectiveContext:
        assigned = None if self.viewer.audience else self.segments.assumed(self._role(None, own=True))
        return self._filled_in(claimed, None, None, assigned)

    async def _with_customer(self, key: object, claimed: Context, customer_id: str) -> EffectiveContext:
        customer = await self._allowed_customer(customer_id)
        role = self._role(customer, customer_id == self.viewer.customer_id)
        region = (customer.region if customer else None) or self.viewer.region
        assigned = await self.segments.of(customer_id, role, region)
        resolved = self._resolved[key] = self._filled_in(claimed, customer_id, customer, assigned)
        return resolved

    def _filled_in(
        self, claimed: Context, customer_id: str | None, customer: Customer | None, assigned: Assigned | None
    ) -> EffectiveContext:
        viewer = self.viewer
        own = customer_id == viewer.customer_id
        role = self._role(customer, own)
        segment = viewer.audience.segment if viewer.audience else assigned.segment if assigned else None
        region = (customer.region if customer else None) or viewer.region
        if own and self.greet is not None:
            self.greet(Audience(role, segment, region, viewer.device))
            self.greet = None
        shown = _checked_region(claimed.region) or region
        persona = self._persona(claimed, role)
        if persona is not role and (assigned := self.segments.assumed(persona)) is not None:
            segment = assigned.segment  # a preview shows what is usual for the persona
        return EffectiveContext(
            subject=viewer.subject if own else f"customer:{customer_id}",
            persona=persona,
            customer_id=customer_id,
            segment=segment,
            assigned=assigned,
            category=str(claimed.category) if claimed.category is not None else None,
            region=shown,
            season=claimed.season or season(self.now, shown),
            device=claimed.device or viewer.device,
            role=role.value,
            app_version=_checked_version(claimed.app_version),
            supports=_supports(claimed.supports),
            top_categories=customer.top_categories if customer else (),
        )

    async def _allowed_customer(self, customer_id: str) -> Customer | None:
        customer = await self.customer(customer_id)
        viewer = self.viewer
        if customer_id == viewer.customer_id or viewer.may_preview:
            return customer
        if customer is not None and viewer.customer_id is not None and viewer.customer_id in customer.sponsors:
            return customer
        # The same words whether the customer exists or not: an answer must not tell who is a customer.
        raise ForbiddenContext(
            "`context.customerId` must be the viewer's own, or a customer that sponsors under the viewer, "
            "or the viewer must hold the `preview` right"
        )

    def _role(self, customer: Customer | None, own: bool) -> Persona:
        of_viewer = self.viewer.persona if own else None
        return of_viewer or (customer.persona if customer else None) or _least_known(customer)

    def _persona(self, claimed: Context, role: Persona) -> Persona:
        if claimed.persona is None or claimed.persona is role:
            return role
        if self.viewer.may_preview:
            return claimed.persona
        raise ForbiddenContext(
            f"`context.persona` is {claimed.persona.value}; only a viewer with the `preview` right may claim a persona "
            "that is not its own"
        )


def _least_known(customer: Customer | None) -> Persona:
    return Persona.VISITOR if customer is None else Persona.DIRECT_CUSTOMER


def _checked_region(region: str | None) -> str | None:
    if region is None or _REGION.fullmatch(region):
        return region
    raise InvalidArgument(f"`context.region` has {len(region)} characters; it must be 1 to 16 of A-Z, a-z, 0-9 and -")


def _checked_version(version: str | None) -> str | None:
    if version is None or _APP_VERSION.fullmatch(version):
        return version
    raise InvalidArgument(
        f"`context.appVersion` has {len(version)} characters; it must be 1 to 32 of A-Z, a-z, 0-9, '.', '+' and '-'"
    )


def _supports(versions: list[ComponentVersion] | None) -> tuple[tuple[str, tuple[str, ...]], ...] | None:
    if versions is None:
        return None
    if len(versions) > _MOST_SUPPORTED:
        raise InvalidArgument(f"`context.supports` has {len(versions)} members; at most {_MOST_SUPPORTED} are allowed")
    by_name: dict[str, list[str]] = {}
    for item in versions:
        if not _VERSION.fullmatch(item.version):
            raise InvalidArgument("`context.supports.version` must be `v` and a number, such as `v2`")
        by_name.setdefault(item.name, []).append(item.version)
    return tuple((name, tuple(sorted(set(found)))) for name, found in sorted(by_name.items()))


def _retrieve(resolving: "asyncio.Future[EffectiveContext]") -> None:
    """A claim that failed for fields that no longer wait for it is nothing to report."""
    if not resolving.cancelled():
        resolving.exception()
