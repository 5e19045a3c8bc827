"""Page cursors: opaque text that holds a place in one list and is refused by every other list.

A cursor is base64url, without padding, of a tag and the place as JSON. The tag is a digest of the list and the place,
so that a cursor that was cut, changed or given out for another list is known for what it is. It guards against
mistakes, not against forgers: a place may be reached with `first` as well, so there is nothing to protect.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b

from resolvers.errors import InvalidCursor

TAG_BYTES = 9
MAX_CURSOR = 1024

Place = tuple[int | str, ...]
"""Sort key and tie breaker of an item: whatever the source needs to go on behind it."""


def encode_cursor(listing: str, place: Place) -> str:
    """The cursor of the item at `place` in the list that `listing` identifies (category, search, sort, …)."""
    payload = json.dumps(place, separators=(",", ":")).encode()
    return urlsafe_b64encode(_tag(listing, payload) + payload).rstrip(b"=").decode()


def decode_cursor(listing: str, cursor: str) -> Place:
    """The place that `encode_cursor` was given for the same list; `InvalidCursor` for any other text."""
    raw = _unpacked(cursor)
    tag, payload = raw[:TAG_BYTES], raw[TAG_BYTES:]
    if len(tag) < TAG_BYTES or tag != _tag(listing, payload):
        raise _refused(cursor)
    return tuple(json.loads(payload))


def _unpacked(cursor: str) -> bytes:
    if not 0 < len(cursor) <= MAX_CURSOR or not cursor.isascii():
        raise _refused(cursor)
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error as error:
        raise _refused(cursor) from error
    if urlsafe_b64encode(raw).rstrip(b"=").decode() != cursor:
        raise _refused(cursor)
    return raw


def _tag(listing: str, payload: bytes) -> bytes:
    key = blake2b(listing.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return blake2b(payload, digest_size=TAG_BYTES, key=key).digest()


def _refused(cursor: str) -> InvalidCursor:
    shown = ascii(cursor if len(cursor) <= 40 else cursor[:40] + "…")
    return InvalidCursor(
        f"cursor {shown} is damaged or was given out for another list; "
        "take cursors from a page of the same category, search and sort, or leave `after` out to begin anew"
    )
