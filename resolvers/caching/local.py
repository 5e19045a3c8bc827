"""A second tier in this process: for tests, and for several caches of one process."""

from collections.abc import Collection, Mapping, Sequence

from personalization.clock import Clock
from resolvers.caching.tier import Stored


class LocalTier:
    """Values in a dict, until they are no longer good."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._values: dict[bytes, Stored] = {}

    async def get_many(self, keys: Sequence[bytes]) -> Sequence[Stored | None]:
        """The values under these keys, in their order."""
        now = self._clock.now().timestamp()
        found = [self._values.get(key) for key in keys]
        return [value if value is not None and now < value.stale_until else None for value in found]

    async def put_many(self, values: Mapping[bytes, Stored]) -> None:
        """Keep values."""
        self._values.update(values)

    async def forget(self, tags: Collection[str]) -> None:
        """Throw out all that carries one of these tags."""
        wanted = frozenset(tags)
        self._values = {key: value for key, value in self._values.items() if not wanted & value.tags}

    async def clear(self) -> None:
        """Throw out everything."""
        self._values.clear()

    async def aclose(self) -> None:
        """Nothing to let go of."""
