"""Previews: a signed token forces variants of flags for one browser, until it expires."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

import jwt

from flags.errors import InvalidPreview

MOST_VARIANTS = 50
_AUDIENCE = "preview"
_ALGORITHM = "HS256"
_LONGEST = 8192
_NAME = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Preview:
    """Which variants are forced, by flag key, on whose word and until when.

    `by` is who asked for it, as people will read it in the answers. Where `subject` is set (`customer:7`), the token
    works for that viewer only; otherwise for the browser that brings it.
    """

    by: str
    variants: Mapping[str, str]
    until: datetime
    subject: str | None = None

    def public(self) -> dict[str, object]:
        """What `extensions.preview` says."""
        return {"by": self.by, "until": self.until.isoformat(), "variants": dict(self.variants)}


class PreviewTokens:
    """Makes and reads the tokens: JWTs signed with a key that signs nothing else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mint(self, preview: Preview) -> str:
        """The token of this preview.

        Raises:
            InvalidPreview: no reader would take it.
        """
        content = {
            "aud": _AUDIENCE,
            "by": preview.by,
            "variants": dict(preview.variants),
            "exp": int(preview.until.timestamp()),
            **({"sub": preview.subject} if preview.subject is not None else {}),
        }
        _checked(content)
        return jwt.encode(content, self._key, algorithm=_ALGORITHM)

    def read(self, token: str, now: datetime) -> Preview:
        """The preview of a token that holds at this moment.

        Raises:
            InvalidPreview: it is malformed, forged or expired; the message says which.
        """
        if len(token) > _LONGEST:
            raise InvalidPreview(f"the preview token has {len(token)} characters, at most {_LONGEST} are taken")
        try:
            content = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                options={"require": ["exp"], "verify_exp": False},
            )
            preview = _checked(content)
        except (jwt.PyJWTError, RecursionError) as error:
            raise InvalidPreview("the preview token is malformed or signed with another key") from error
        if preview.until <= now:
            raise InvalidPreview(f"the preview token expired at {preview.until.isoformat()}, ask for another one")
        return preview


def _checked(content: Mapping[str, object]) -> Preview:
    by, variants, until, subject = (content.get(name) for name in ("by", "variants", "exp", "sub"))
    if not isinstance(by, str) or not _NAME.fullmatch(by):
        raise InvalidPreview("who asked for a preview is 1 to 128 printable ASCII characters without spaces")
    if not isinstance(variants, Mapping) or not 0 < len(variants) <= MOST_VARIANTS:
        raise InvalidPreview(f"a preview forces 1 to {MOST_VARIANTS} flags")
    if not all(isinstance(each, str) and _NAME.fullmatch(each) for pair in variants.items() for each in pair):
        raise InvalidPreview("a preview's flags and variants are names of 1 to 128 printable ASCII characters")
    if subject is not None and not (isinstance(subject, str) and _NAME.fullmatch(subject)):
        raise InvalidPreview("a preview's subject is 1 to 128 printable ASCII characters, such as customer:7")
    if not isinstance(until, int) or not 0 < until < 2**40:
        raise InvalidPreview("a preview's end is no moment")
    return Preview(by, MappingProxyType(dict(variants)), datetime.fromtimestamp(until, UTC), subject)
