"""A pause of the garbage collector while a large set of flags is taken over."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

PAUSE_SECONDS = 60.0


class CollectorPause:
    """Keeps thousands of new flags from setting off a full collection, which holds up every thread for its length.

    A full collection is due when a quarter of what is alive is new, and a large set is as much. It would find nothing:
    flags have no cycles. So nothing is collected within the pause, and what is alive at its end is left out of
    collections for a minute, until it is old. Where the process has frozen its heap for good, it stays frozen.
    """

    def __init__(self) -> None:
        self._thaw: asyncio.TimerHandle | None = None

    @contextmanager
    def pause(self) -> Iterator[None]:
        """The pause lasts as long as the block; within a loop."""
        if not gc.isenabled():
            yield
            return
        ours = self._thaw is not None or gc.get_freeze_count() == 0
        gc.disable()
        try:
            yield
        finally:
            gc.freeze()
            gc.enable()
            if ours:
                self._later()

    def end(self) -> None:
        """Leave nothing out of collections any more. Safe to call twice."""
        if self._thaw is not None:
            self._thaw.cancel()
            self._thaw = None
            gc.unfreeze()

    def _later(self) -> None:
        if self._thaw is not None:
            self._thaw.cancel()
        self._thaw = asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.end)
