"""What outcomes are worth, online and offline alike: by the settings, the flags, and the file of rules above them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from math import inf

import structlog

from flags.definitions import Definitions, read_definitions
from flags.errors import DefinitionsUnreadable
from flags.files import Pace, Signature, signature_of
from flags.live import DEMO_DIRECTORY
from flags.rewards import reward_rules
from flags.vocabulary import Vocabulary
from gateway.settings import Settings
from personalization.join.reward import JoinRules, RewardRule
from personalization.join.rules_file import read_rules

LOOK_EVERY_S = 1.0

_log = structlog.get_logger("gateway.join_rules")


def join_rules(settings: Settings) -> JoinRules:
    """The rules of the join as they are now. Blocks.

    Raises:
        InvalidRules: the file of rules cannot be read.
        DefinitionsUnreadable: the folder of flags cannot be read.
    """
    return RuleSource(settings).read()


class RuleSource:
    """Reads the rules, and says when flags have changed them. A flag that is refused keeps its last good rule."""

    def __init__(self, settings: Settings) -> None:
        self._directory = settings.flags_dir or DEMO_DIRECTORY
        self._vocabulary = Vocabulary().with_segments(settings.flags_segments)
        self._definitions = Definitions()
        self._signature: Signature | None = None
        self._default = RewardRule(
            window=timedelta(seconds=settings.join_window_s), assume_displayed=settings.join_assume_displayed
        )
        self._lateness = timedelta(seconds=settings.join_lateness_s)
        self._above = {} if settings.join_rules is None else read_rules(settings.join_rules, self._default)

    def read(self) -> JoinRules:
        """The rules as the flags are now. Blocks; raises `DefinitionsUnreadable`."""
        self._signature = signature_of(self._directory)
        pace = Pace(slice_seconds=inf)  # no request waits in this process
        self._definitions = read_definitions(self._directory, self._vocabulary, self._definitions, pace)
        by_placement = {**reward_rules(self._definitions.flags, self._default), **self._above}
        return JoinRules(self._default, by_placement, lateness=self._lateness)

    async def changed(self, rules: JoinRules) -> JoinRules:
        """Wait until the flags say other rules than these; those."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if await asyncio.to_thread(signature_of, self._directory) == self._signature:
                    continue
                found = await asyncio.to_thread(self.read)
            except DefinitionsUnreadable as error:
                _log.warning("join_rules_unreadable", reason=str(error))
                continue
            if found != rules:
                _log.info("join_rules_changed", placements=sorted(found.by_placement))
                return found


Join = Callable[[JoinRules, asyncio.Event], Awaitable[None]]


async def join_by(source: RuleSource, rules: JoinRules, join: Join, stop: asyncio.Event) -> None:
    """Join by these rules until told to stop; each time they change, save, and go on by the new ones."""
    while not stop.is_set():
        turn = asyncio.Event()
        joined = asyncio.ensure_future(join(rules, turn))
        changed = asyncio.ensure_future(source.changed(rules))
        stopped = asyncio.ensure_future(stop.wait())
        await asyncio.wait({joined, changed, stopped}, return_when=asyncio.FIRST_COMPLETED)
        turn.set()
        try:
            await joined
            rules = changed.result() if changed.done() else rules
        finally:
            changed.cancel()
            stopped.cancel()
