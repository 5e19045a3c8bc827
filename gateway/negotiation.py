"""What a client accepts: media types of answers, from the `Accept` header.

Incremental delivery goes only to clients that name it. `*/*` never means `multipart/mixed`, and a `multipart/mixed`
with the parameters of another protocol (`deferSpec=20220824`, `subscriptionSpec=1.0`) is not the one spoken here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

INCREMENTAL_SPEC = "v0.2"
BOUNDARY = "graphql"


class Media(Enum):
    """A media type that can be answered with; the value is the `Content-Type`."""

    GRAPHQL = "application/graphql-response+json; charset=utf-8"
    JSON = "application/json; charset=utf-8"
    MULTIPART = f'multipart/mixed; boundary="{BOUNDARY}"; incrementalSpec={INCREMENTAL_SPEC}'
    EVENTS = "text/event-stream; charset=utf-8"

    @property
    def essence(self) -> str:
        """The media type without parameters."""
        return self.value.partition(";")[0]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The best media type for one answer, and for an answer in parts; None where the client takes neither."""

    whole: Media | None
    parts: Media | None


@dataclass(frozen=True, slots=True)
class _Range:
    """One member of an `Accept` header."""

    essence: str
    parameters: Mapping[str, str]
    quality: float
    position: int

    def specificity(self, media: Media) -> int:
        """How exactly it names a media type: 2 whole, 1 its family, 0 anything, -1 not at all."""
        if self.essence == media.essence:
            return 2 if _speaks(media, self.parameters) else -1
        if media in (Media.MULTIPART, Media.EVENTS):
            return -1
        if self.essence == "*/*":
            return 0
        return 1 if self.essence == "application/*" else -1


def accepted(header: str | None) -> Accepted:
    """What an `Accept` header takes; without one, `application/json`.

    Ties go to the more exact range, then to the one named first, then to `application/json`. Parts are taken only
    where the client likes them at least as much as one answer.
    """
    if header is None or not header.strip():
        return Accepted(Media.JSON, None)
    ranges = tuple(_ranges(header))
    whole, whole_quality = _best(ranges, (Media.JSON, Media.GRAPHQL))
    parts, parts_quality = _best(ranges, (Media.MULTIPART, Media.EVENTS))
    return Accepted(whole, parts if parts_quality >= whole_quality else None)


def _best(ranges: tuple[_Range, ...], offered: tuple[Media, ...]) -> tuple[Media | None, float]:
    ranked: list[tuple[float, int, int, int, Media]] = []
    for order, media in enumerate(offered):
        exact = max(ranges, key=lambda each: (each.specificity(media), each.quality), default=None)
        if exact is not None and exact.quality > 0 and (specificity := exact.specificity(media)) >= 0:
            ranked.append((-exact.quality, -specificity, exact.position, order, media))
    if not ranked:
        return None, 0.0
    best = min(ranked, key=lambda rank: rank[:4])
    return best[4], -best[0]


def _ranges(header: str) -> Iterator[_Range]:
    for position, member in enumerate(header.split(",")):
        essence, parameters = media_type(member)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            continue
        if "/" in essence and 0 <= quality <= 1:
            yield _Range(essence, parameters, quality, position)


def media_type(text: str) -> tuple[str, dict[str, str]]:
    """A media type's essence and parameters; names in lower case, quotes taken off values."""
    essence, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return essence.strip().lower(), {
        name.strip().lower(): value.strip().strip('"') for name, _, value in pairs if name.strip()
    }


def _speaks(media: Media, parameters: Mapping[str, str]) -> bool:
    if media is Media.MULTIPART:
        spec = parameters.get("incrementalspec", INCREMENTAL_SPEC)
        return spec == INCREMENTAL_SPEC and not {"deferspec", "subscriptionspec"} & parameters.keys()
    return is_utf8(parameters.get("charset", "utf-8"))


def is_utf8(charset: str) -> bool:
    """Whether a charset parameter names UTF-8."""
    return charset.lower() in ("utf-8", "utf8")
