"""The REST calls of an Oscar shop: which session each is made in, how many run at once, lists that come in pages."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from personalization.clock import Deadline
from personalization.errors import DeadlineExceeded
from resolvers.errors import SourceUnavailable
from resolvers.sources.oscar_wire import Answer, BasketAnswer, read_many, read_one
from resolvers.sources.upstream_client import UpstreamClient, UpstreamNotFound, UpstreamRefusal

Key = TypeVar("Key")
Value = TypeVar("Value")

_UNAUTHORIZED = (401, 403)


class SignInRefused(SourceUnavailable):
    """The shop does not know the staff user, or not this password."""


@asynccontextmanager
async def within(deadline: Deadline, doing: str) -> AsyncIterator[None]:
    """Cancels what is in the block at the deadline, also where it waits for its turn, and says `DeadlineExceeded`."""
    try:
        async with asyncio.timeout(deadline.check(doing)):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"the shop did not answer {doing} in the time left") from error


async def gather_bounded(
    items: Iterable[Key], call: Callable[[Key], Awaitable[Value]], workers: int, deadline: Deadline
) -> dict[Key, Value]:
    """The answer for each item, from at most `workers` calls at a time.

    The first call that fails cancels the others and its error is raised; so does the deadline, as `DeadlineExceeded`.
    """
    todo, answers = iter(items), dict[Key, Value]()

    async def work() -> None:
        for item in todo:
            answers[item] = await call(item)

    try:
        async with within(deadline, "a batch"), asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(work())
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return answers


class OscarCalls:
    """Calls to one shop, for any number of visits at once. Made once for a process.

    Visits share `concurrency` slots; a quarter of them is set apart for the index, so that neither waits for the other
    and the shop never sees more than `concurrency` calls at a time.

    Anonymous reads go in one session of their own: where Oscar's basket middleware is in place, each call without a
    session would leave an empty basket behind in the shop. Staff calls go in another, signed in when needed.

    Raises, from every call: `DeadlineExceeded`; `SourceUnavailable`, also for refusals of reads.
    """

    def __init__(self, client: UpstreamClient, base_url: str, concurrency: int, staff: tuple[str, str] | None) -> None:
        parts = urlsplit(base_url)
        self._client = client
        self._staff = staff
        self._root = parts.path.rstrip("/")
        # The host name alone: the shop compares the realm with what precedes the colon of the Host header.
        self._realm = parts.hostname or ""
        self._reading = self.session(secrets.token_hex(16))
        self._staff_session: dict[str, str] | None = None
        self._signing_in = asyncio.Lock()
        apart = max(1, concurrency // 4)
        self.workers, self.index_workers = max(1, concurrency - apart), apart
        self._slots = asyncio.Semaphore(self.workers)
        self._index_slots = asyncio.Semaphore(apart) if concurrency > 1 else self._slots

    @property
    def has_staff(self) -> bool:
        """Whether there is a user to sign in with."""
        return self._staff is not None

    def session(self, name: str, kind: str = "ANON") -> dict[str, str]:
        """The header that names a session. `name` must hold no `-` and no `:`, behind which Oscar cuts names off."""
        return {"Session-Id": f"SID:{kind}:{self._realm}:{name}"}

    def product_link(self, product_id: str) -> str:
        """A product as the shop wants it named in a request."""
        return f"{self._root}/products/{product_id}/"

    async def open_reading(self, deadline: Deadline) -> None:
        """Give the reading session its one basket, and see that the shop takes sessions from headers at all."""
        first = await self._get("oscar_session", "basket/", deadline, slots=self._index_slots)
        again = await self._get("oscar_session", "basket/", deadline, slots=self._index_slots)
        if read_one(BasketAnswer, first).id != read_one(BasketAnswer, again).id:
            raise SourceUnavailable("the shop ignores Session-Id headers: it needs HeaderSessionMiddleware")

    async def one(self, kind: type[Answer], operation: str, path: str, deadline: Deadline) -> Answer | None:
        """One public answer; None where there is nothing."""
        value = await self._found(operation, path, deadline, self._slots)
        return None if value is None else read_one(kind, value)

    async def index_one(self, kind: type[Answer], operation: str, path: str, deadline: Deadline) -> Answer | None:
        """Like `one`, in the slots of the index."""
        value = await self._found(operation, path, deadline, self._index_slots)
        return None if value is None else read_one(kind, value)

    async def index_list(
        self, operation: str, path: str, deadline: Deadline, most: int, params: Mapping[str, str] | None = None
    ) -> list[Any]:
        """A public list, all its pages, at most `most` entries, as parsed JSON."""

        def page(query: Mapping[str, str] | None) -> Awaitable[Any]:
            return self._get(operation, path, deadline, slots=self._index_slots, params=query)

        return await self._pages(page, most, params)

    async def staff_list(
        self, kind: type[Answer], operation: str, path: str, deadline: Deadline, most: int
    ) -> tuple[Answer, ...]:
        """A list that only staff may read, all its pages, at most `most` entries."""

        def page(query: Mapping[str, str] | None) -> Awaitable[Any]:
            return self._as_staff(operation, path, deadline, self._index_slots, query)

        return read_many(kind, await self._pages(page, most, None))

    async def staff_found(self, operation: str, path: str, deadline: Deadline) -> bool:
        """Whether staff finds something there; what it is may be personal and is not looked at."""
        try:
            await self._as_staff(operation, path, deadline, self._slots, None)
        except UpstreamNotFound:
            return False
        return True

    async def basket_list(
        self, kind: type[Answer], path: str, deadline: Deadline, session: Mapping[str, str]
    ) -> tuple[Answer, ...] | None:
        """A list that belongs to a session's basket; None where the session has no such basket."""

        def page(query: Mapping[str, str] | None) -> Awaitable[Any]:
            return self._client.read("oscar_basket", path, deadline, params=query, headers=session)

        try:
            async with self._slots:
                return read_many(kind, await self._pages(page, 10_000, None))
        except UpstreamRefusal as error:
            if error.status in (*_UNAUTHORIZED, 404):
                return None
            raise

    async def basket_write(
        self, path: str, deadline: Deadline, session: Mapping[str, str], body: object
    ) -> BasketAnswer:
        """A change to a session's basket. Raises `UpstreamRefusal` where the shop says no."""
        async with self._slots:
            answer = await self._client.write("oscar_basket_add", "POST", path, deadline, body=body, headers=session)
        return read_one(BasketAnswer, answer)

    async def _found(self, operation: str, path: str, deadline: Deadline, slots: asyncio.Semaphore) -> Any:
        try:
            return await self._get(operation, path, deadline, slots=slots)
        except UpstreamNotFound:
            return None

    async def _get(
        self,
        operation: str,
        path: str,
        deadline: Deadline,
        *,
        slots: asyncio.Semaphore,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        """An anonymous read. Raises `UpstreamNotFound` for a 404."""
        try:
            async with slots:
                return await self._client.read(operation, path, deadline, params=params, headers=self._reading)
        except UpstreamNotFound:
            raise
        except UpstreamRefusal as error:
            raise SourceUnavailable(f"the shop refuses to be read: {operation} got status {error.status}") from error

    async def _pages(
        self, page: Callable[[Mapping[str, str] | None], Awaitable[Any]], most: int, params: Mapping[str, str] | None
    ) -> list[Any]:
        """All entries, whether the shop gives them as a list or in the pages of its REST framework."""
        entries: list[Any] = []
        while True:
            answer = await page(params)
            if isinstance(answer, list):
                return answer[:most]
            if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
                raise SourceUnavailable("the shop gave neither a list nor a page of one")
            entries += answer["results"]
            following = answer.get("next")
            if not isinstance(following, str) or not answer["results"] or len(entries) >= most:
                return entries[:most]
            # Only the query of the link is used: it may name a host that is not the shop's.
            params = dict(parse_qsl(urlsplit(following).query))

    async def _as_staff(
        self,
        operation: str,
        path: str,
        deadline: Deadline,
        slots: asyncio.Semaphore,
        params: Mapping[str, str] | None,
    ) -> Any:
        """A read as staff; signs in first, and once more where the shop has forgotten the session."""
        session = await self._signed_in(deadline, forgotten=None)
        async with slots:
            try:
                return await self._client.read(operation, path, deadline, params=params, headers=session)
            except UpstreamRefusal as error:
                if error.status not in _UNAUTHORIZED:
                    raise
            session = await self._signed_in(deadline, forgotten=session)
            return await self._client.read(operation, path, deadline, params=params, headers=session)

    async def _signed_in(self, deadline: Deadline, forgotten: dict[str, str] | None) -> dict[str, str]:
        async with self._signing_in:
            if self._staff_session is None or self._staff_session is forgotten:
                self._staff_session = await self._sign_in(deadline)
            return self._staff_session

    async def _sign_in(self, deadline: Deadline) -> dict[str, str]:
        """A session rather than a password with each call: the shop spends a quarter of a second on checking one."""
        if self._staff is None:
            raise SignInRefused("there is no staff user to sign in with")
        name = secrets.token_hex(16)
        body = {"username": self._staff[0], "password": self._staff[1]}
        try:
            await self._client.write("oscar_sign_in", "POST", "login/", deadline, body=body, headers=self.session(name))
        except UpstreamRefusal as error:
            raise SignInRefused("the shop refuses the staff user or its password") from error
        return self.session(name, "AUTH")
