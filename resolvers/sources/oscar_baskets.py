"""Baskets of an Oscar shop: each in an anonymous session of its own, bound to its owner by a signature.

Oscar gives an anonymous session one basket and lets nobody else read it. The name of that session is derived from the
gateway's key, the owner and a random number, so that it need not be kept anywhere; the id of a basket holds the random
number and Oscar's own id, signed for the owner. Whoever shows an id that was signed for somebody else, or for nobody,
is told that there is no such basket, and the shop is not even asked.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

from itsdangerous import BadSignature, URLSafeSerializer

from personalization.clock import Deadline
from resolvers.errors import SourceRefused, UnknownBasket, UnknownProduct
from resolvers.sources.oscar_calls import OscarCalls, within
from resolvers.sources.oscar_parse import unit_amount
from resolvers.sources.oscar_wire import BasketLineAnswer
from resolvers.sources.source import Basket, BasketLine
from resolvers.sources.upstream_client import UpstreamRefusal

LEAST_KEY_BYTES = 16
MOST_UNITS = 99
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class Units:
    """How many of which product."""

    product_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a basket lies: the random number of its session, and Oscar's id."""

    number: str
    pk: int


class OscarBaskets:
    """Reads and changes baskets. `key` is a secret that every gateway before the same shop shares, and keeps."""

    def __init__(self, calls: OscarCalls, key: bytes) -> None:
        if len(key) < LEAST_KEY_BYTES:
            raise ValueError(f"the key that signs baskets has {len(key)} bytes; it must have {LEAST_KEY_BYTES} or more")
        self._calls = calls
        self._key = key
        # Oscar reads a line's quantity, adds and writes it back: of two additions at once, one would be lost.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, basket_id: str, owner: str, deadline: Deadline) -> Basket | None:
        """The basket; None where it does not exist, is another's, or was ordered or forgotten by the shop.

        The currency of an empty basket is not known; it is left empty.
        """
        place = self._opened(basket_id, owner)
        if place is None:
            return None
        async with within(deadline, "a basket"):
            lines = await self._lines(place, owner, deadline)
        return None if lines is None else _to_basket(basket_id, owner, lines)

    async def add(self, basket_id: str | None, owner: str, units: Units, deadline: Deadline) -> Basket:
        """Add units. Raises `UnknownBasket`, `UnknownProduct`, `SourceRefused`."""
        place = None if basket_id is None else self._opened(basket_id, owner)
        if basket_id is not None and place is None:
            raise _unknown(basket_id)
        if not 1 <= units.quantity <= MOST_UNITS:
            raise SourceRefused(f"{units.quantity} units cannot be added at a time; 1 to {MOST_UNITS} can")
        async with within(deadline, "a basket"):
            if place is None:
                return await self._begin(owner, units, deadline)
            async with self._turns.setdefault(f"{owner}/{place.number}", asyncio.Lock()):
                return await self._continue(place, owner, units, deadline)

    async def _begin(self, owner: str, units: Units, deadline: Deadline) -> Basket:
        number = secrets.token_hex(16)
        place = _Place(number, await self._put(self._session(owner, number), units, deadline))
        return _to_basket(self._sealed(place, owner), owner, await self._lines(place, owner, deadline) or ())

    async def _continue(self, place: _Place, owner: str, units: Units, deadline: Deadline) -> Basket:
        basket_id = self._sealed(place, owner)
        # Asked first: in a session that it has forgotten, the shop would begin another basket without a word.
        if await self._lines(place, owner, deadline) is None:
            raise _unknown(basket_id)
        pk = await self._put(self._session(owner, place.number), units, deadline)
        lines = await self._lines(place, owner, deadline) if pk == place.pk else None
        if lines is None:
            raise _unknown(basket_id)
        return _to_basket(basket_id, owner, lines)

    async def _put(self, session: Mapping[str, str], units: Units, deadline: Deadline) -> int:
        body = {"url": self._calls.product_link(units.product_id), "quantity": units.quantity}
        try:
            return (await self._calls.basket_write("basket/add-product/", deadline, session, body)).id
        except UpstreamRefusal as error:
            raise _refusal(error, units) from error

    async def _lines(self, place: _Place, owner: str, deadline: Deadline) -> tuple[BasketLineAnswer, ...] | None:
        session = self._session(owner, place.number)
        return await self._calls.basket_list(BasketLineAnswer, f"baskets/{place.pk}/lines/", deadline, session)

    def _session(self, owner: str, number: str) -> Mapping[str, str]:
        message = f"oscar-session\0{number}\0{owner}".encode("utf-8", "surrogatepass")
        return self._calls.session(hmac.new(self._key, message, hashlib.sha256).hexdigest())

    def _sealed(self, place: _Place, owner: str) -> str:
        """The id of the basket for its owner; the same place always has the same."""
        return str(self._serializer(owner).dumps([place.number, place.pk]))

    def _serializer(self, owner: str) -> URLSafeSerializer:
        return URLSafeSerializer(
            self._key,
            salt=b"oscar-basket\0" + owner.encode("utf-8", "surrogatepass"),
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def _opened(self, basket_id: str, owner: str) -> _Place | None:
        """Where the basket lies; None for an id that was not given out to this owner."""
        if len(basket_id) > _LONGEST_ID or not basket_id.isascii():
            return None
        try:
            number, pk = self._serializer(owner).loads(basket_id)
        except BadSignature:
            return None
        return _Place(number, pk)


def _to_basket(basket_id: str, owner: str, answers: tuple[BasketLineAnswer, ...]) -> Basket:
    """The basket; several lines of one product (it was added with different options) are one."""
    units: dict[str, list[BasketLineAnswer]] = {}
    for answer in answers:
        if answer.quantity > 0:
            units.setdefault(str(answer.product), []).append(answer)
    lines = []
    for product_id, parts in units.items():
        quantity = sum(part.quantity for part in parts)
        amount = sum((part.price_incl_tax_excl_discounts for part in parts[1:]), parts[0].price_incl_tax_excl_discounts)
        lines.append(BasketLine(product_id, quantity, unit_amount(amount, quantity)))
    named = next((answer.price_currency for answer in answers if answer.price_currency), "")
    return Basket(basket_id, owner, tuple(lines), named)


def _unknown(basket_id: str) -> UnknownBasket:
    return UnknownBasket(f"there is no basket {basket_id[:40]!a} of this owner")


def _refusal(error: UpstreamRefusal, units: Units) -> SourceRefused:
    """Oscar gives the fault of a member in a dictionary, and its own reasons as a sentence for customers."""
    reason = error.answer.get("reason") if isinstance(error.answer, dict) else None
    if isinstance(reason, dict) and "url" in reason:
        return UnknownProduct(f"there is no product {units.product_id}")
    said = f": {reason[:200]}" if isinstance(reason, str) and reason else ""
    return SourceRefused(f"the shop does not take {units.quantity} units of product {units.product_id}{said}")
