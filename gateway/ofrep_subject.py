"""From the `context` of an OFREP request to the subject that flags are asked for; all of it is checked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from strawberry import ID

from flags.subject import Attribute, Subject
from personalization.events import Device, Persona, Season
from resolvers.context import ComponentVersion, Context, Contexts
from resolvers.errors import ForbiddenContext, InvalidArgument
from resolvers.viewer import Viewer

MOST_ATTRIBUTES = 64
LONGEST_TEXT = 256
LARGEST_NUMBER = 2**53 - 1
CUSTOMER = "customer:"
VISITOR = "visitor:"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
# Who one is, and not what one runs: believed only of those who may see the shop as anybody.
_PREVIEWED = ("segment", "role")
_OURS = frozenset({"targetingKey", "customerId", "persona", "category", "region", "season", "device", "supports"})

Word = TypeVar("Word", bound=StrEnum)


class TargetingKeyMissing(InvalidArgument):
    """A targeting key that is there and empty; to be the viewer, one leaves it out."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a client says of the subject: the members that GraphQL's `Context` has too, and the rest.

    `previewed` are attributes that only the `preview` right lets one claim; `free` are any others.
    """

    targeting_key: str | None
    context: Context
    previewed: Mapping[str, str]
    free: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Resolved:
    """Whom flags are asked for, and which versions of components the client can render."""

    subject: Subject
    supports: Mapping[str, Sequence[str]] | None = None


def read_claim(given: object) -> Claim:
    """The claim in a `context`; one that is left out or null claims nothing, and so do members that are null.

    Raises:
        InvalidArgument: not an object, too much of it, or a member of the wrong form.
    """
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise InvalidArgument("`context` must be an object")
    if len(given) > MOST_ATTRIBUTES:
        raise InvalidArgument(f"`context` has {len(given)} members; at most {MOST_ATTRIBUTES} are taken")
    members = {name: value for name, value in given.items() if value is not None}
    return Claim(
        targeting_key=_targeting_key(members),
        context=_context(members),
        previewed={name: text for name in _PREVIEWED if (text := _text(members, name)) is not None},
        free={name: _free(name, members[name]) for name in members.keys() - _OURS - set(_PREVIEWED)},
    )


async def resolve(claim: Claim, viewer: Viewer, contexts: Contexts) -> Resolved:
    """The subject of a claim: the viewer itself, or somebody it may act for, with what is true of it filled in.

    Raises:
        ForbiddenContext: the viewer may not claim it.
        InvalidArgument: the targeting key names one customer and `customerId` another.
        SourceError, DeadlineExceeded: the customer could not be read, so the right could not be checked.
    """
    _check_previewed(claim, viewer)
    key = claim.targeting_key
    if key is not None and key.startswith(VISITOR) and key != viewer.subject:
        if not viewer.may_preview:
            raise ForbiddenContext("`context.targetingKey` names another visitor, which needs the `preview` right")
        _check_one_customer(claim, None)
        stranger = replace(claim.context, persona=claim.context.persona or Persona.VISITOR)
        effective = replace(await contexts.resolve(stranger), subject=key, customer_id=None)
    else:
        effective = await contexts.resolve(_about(claim, viewer))
    subject = effective.flag_subject()
    attributes = {**claim.free, **subject.attributes, **claim.previewed}
    supports = dict(effective.supports) if effective.supports is not None else None
    return Resolved(Subject(subject.targeting_key, attributes), supports)


def _about(claim: Claim, viewer: Viewer) -> Context:
    """The claim with the customer that its targeting key names."""
    key = claim.targeting_key
    if key is None:
        return claim.context
    own = key in (viewer.subject, viewer.subject.partition(":")[2])
    customer = viewer.customer_id if own else key.removeprefix(CUSTOMER)
    _check_one_customer(claim, customer)
    return replace(claim.context, customer_id=ID(customer) if customer is not None else None)


def _check_one_customer(claim: Claim, customer: str | None) -> None:
    also = claim.context.customer_id
    if also is not None and also != customer:
        raise InvalidArgument("`context.targetingKey` and `context.customerId` name two; leave one of them out")


def _check_previewed(claim: Claim, viewer: Viewer) -> None:
    if claim.previewed and not viewer.may_preview:
        names = " and ".join(f"`context.{name}`" for name in claim.previewed)
        raise ForbiddenContext(f"{names} may be claimed only by a viewer with the `preview` right")


def _targeting_key(members: Mapping[str, object]) -> str | None:
    key = _text(members, "targetingKey")
    if key == "":
        raise TargetingKeyMissing("`context.targetingKey` is empty; leave it out to be the viewer itself")
    return key


def _context(members: Mapping[str, object]) -> Context:
    return Context(
        customer_id=_id(members, "customerId"),
        persona=_word(members, "persona", Persona),
        category=_id(members, "category"),
        region=_text(members, "region"),
        season=_word(members, "season", Season),
        device=_word(members, "device", Device),
        supports=_supports(members.get("supports")),
    )


def _text(members: Mapping[str, object], name: str) -> str | None:
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise InvalidArgument(f"`context.{name}` must be a text of at most {LONGEST_TEXT} characters")
    return value


def _id(members: Mapping[str, object], name: str) -> ID | None:
    text = _text(members, name)
    return None if text is None else ID(text)


def _word(members: Mapping[str, object], name: str, words: type[Word]) -> Word | None:
    text = _text(members, name)
    if text is None:
        return None
    if text not in words.__members__:
        raise InvalidArgument(f"`context.{name}` must be one of {', '.join(words)}")
    return words[text]


def _supports(given: object) -> list[ComponentVersion] | None:
    if given is None:
        return None
    if not isinstance(given, list):
        raise InvalidArgument("`context.supports` must be a list of `name` and `version`")
    return [_component_version(each) for each in given]


def _component_version(given: object) -> ComponentVersion:
    if isinstance(given, dict):
        name, version = given.get("name"), given.get("version")
        if isinstance(name, str) and isinstance(version, str) and len(name) <= LONGEST_TEXT:
            return ComponentVersion(name=name, version=version)
    raise InvalidArgument("each of `context.supports` must have a `name` and a `version`, both texts")


def _free(name: str, value: object) -> Attribute:
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"{name[:64]!r} names no attribute: up to 64 letters, digits, '_', '.' and '-' after a letter or '_'"
        )
    match value:
        case bool():
            return value
        case str() if len(value) <= LONGEST_TEXT:
            return value
        case int() | float() if abs(value) <= LARGEST_NUMBER:
            return value
    raise InvalidArgument(
        f"`context.{name}` must be true, false, a number within 2^53 or a text of at most {LONGEST_TEXT} characters"
    )
