"""The layer that decides: one batch a page, sticky for the session, recorded when given."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from flags.errors import StickyUnavailable
from flags.evaluation import Decider, Evaluation
from flags.layers import Answer, OpenFlag
from flags.sticky import Keep, StickyDecisions, sticky_key
from flags.subject import Subject
from personalization.decision.question import Question
from personalization.decision.service import JOURNAL_FULL, DecisionService
from personalization.errors import JournalFull
from personalization.events import HOLDBACK, Decision, DecisionContext, DecisionMode

STICKY = "STICKY"
LATE = "LATE"
STICKY_UNAVAILABLE = "STICKY_UNAVAILABLE"
DECIDED_ELSEWHERE = "DECIDED_ELSEWHERE"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Case:
    """An open flag, where its decision is kept, and what is kept there."""

    flag: OpenFlag
    key: str
    kept: Decision | None

    @property
    def holds(self) -> bool:
        """Whether what is kept can still be given: the persona, the client or the flag may have changed."""
        return self.kept is not None and _fits(self.flag, self.kept)


class BanditLayer:
    """Gives open flags the variant of a decision; the default and a reason when there is none in time.

    Who is held back is given the default, by a decision too: it is kept and recorded as any other.

    A decision is kept before it is recorded, and recorded before it is given: two workers that decide for one session
    at once give the same, and only one decision is learned from. One that is recorded too late to be given was never
    displayed, so nothing is learned from it.
    """

    def __init__(self, decisions: DecisionService, sticky: StickyDecisions) -> None:
        self._decisions = decisions
        self._sticky = sticky
        self._under_way: set[asyncio.Task[list[Answer]]] = set()

    def at_hand(self, flags: Sequence[OpenFlag]) -> list[Answer | OpenFlag]:
        """What was decided before; the flag itself where `answers` is to be asked."""
        keys = list(map(_key, flags))
        return [_kept(flag, decision) or flag for flag, decision in zip(flags, self._sticky.at_hand(keys), strict=True)]

    async def answers(self, flags: Sequence[OpenFlag]) -> list[Answer]:
        """One answer each, decided together. Never raises."""
        cases = self._cases(flags)
        if all(case.holds for case in cases):  # by another field of the page, meanwhile
            return [_sticky(case.flag, case.kept) for case in cases]
        task = asyncio.create_task(self._decide(cases))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            async with asyncio.timeout(_seconds(flags)):
                # Shielded: what is half done is finished for the next page, though this one no longer waits.
                return await asyncio.shield(task)
        except TimeoutError:
            return [each.defaulted(LATE) for each in flags]

    def _cases(self, flags: Sequence[OpenFlag]) -> list[_Case]:
        keys = list(map(_key, flags))
        return [_Case(*each) for each in zip(flags, keys, self._sticky.at_hand(keys), strict=True)]

    async def _decide(self, cases: Sequence[_Case]) -> list[Answer]:
        try:
            cases = await self._looked_up(cases)
            made = iter(await self._made([case for case in cases if not case.holds]))
        except StickyUnavailable as error:
            _log.warning("sticky_decisions_unavailable", cause=type(error.__cause__).__name__)
            return [case.flag.defaulted(STICKY_UNAVAILABLE) for case in cases]
        return [_sticky(case.flag, case.kept) if case.holds else next(made) for case in cases]

    async def _looked_up(self, cases: Sequence[_Case]) -> list[_Case]:
        """The cases with what other workers, or this one in an earlier life, decided."""
        unsure = [case.key for case in cases if not case.holds]
        found = dict(zip(unsure, await self._sticky.remembered(unsure), strict=True))
        return [_Case(case.flag, case.key, found.get(case.key, case.kept)) for case in cases]

    async def _made(self, cases: Sequence[_Case]) -> list[Answer]:
        """New decisions, one policy for all."""
        proposals = self._decisions.propose_many([_question(case.flag) for case in cases])
        pairs = list(zip(cases, proposals, strict=True))
        keeps = [_keep(*pair) for pair in pairs if _is_drawn(pair[1])]
        holding = iter(await self._sticky.remember(keeps) if keeps else ())
        answers = [
            self._given(case.flag, proposal, next(holding))
            if _is_drawn(proposal)
            else case.flag.defaulted(proposal.reason)
            for case, proposal in pairs
        ]
        unrecorded = [case.key for case, answer in zip(cases, answers, strict=True) if answer.why == JOURNAL_FULL]
        if unrecorded:
            await self._sticky.forget(unrecorded)
        return answers

    def _given(self, flag: OpenFlag, proposal: Decision, holding: Decision) -> Answer:
        if holding.id != proposal.id:
            return _sticky(flag, holding)
        try:
            self._decisions.record(proposal)
        except JournalFull:
            return flag.defaulted(JOURNAL_FULL)
        return Answer(_variant(flag, proposal), proposal)


def _key(flag: OpenFlag) -> str:
    """Where the decision about a flag is kept."""
    return sticky_key(flag.flag.definition.key, flag.ask.session, flag.ask.subject.targeting_key or "")


def _is_drawn(proposal: Decision) -> bool:
    return proposal.mode is not DecisionMode.FALLBACK


def _keep(case: _Case, proposal: Decision) -> Keep:
    return Keep(case.key, proposal, case.kept.id if case.kept is not None else None)


def _sticky(flag: OpenFlag, decision: Decision | None) -> Answer:
    return _kept(flag, decision) or flag.defaulted(DECIDED_ELSEWHERE)


def _kept(flag: OpenFlag, decision: Decision | None) -> Answer | None:
    """What was decided before, where it can still be given."""
    if decision is None or not _fits(flag, decision):
        return None
    return Answer(_variant(flag, decision), decision, why=STICKY)


def _fits(flag: OpenFlag, decision: Decision) -> bool:
    """Whether a decision is one that could be made about the flag now."""
    if flag.held or decision.reason == HOLDBACK:
        return flag.held and decision.reason == HOLDBACK and decision.action == flag.default.variant
    return decision.action in flag.actions


def _variant(flag: OpenFlag, decision: Decision) -> Evaluation:
    return flag.flag.drawn(decision.action, Decider.HOLDBACK if flag.held else Decider.BANDIT)


def _question(flag: OpenFlag) -> Question:
    default = flag.default.variant
    return Question(
        context=_context(flag.ask.subject, flag.flag.definition.placement),
        actions=flag.actions,
        default_action=default if flag.held or default in flag.actions else flag.actions[0],
        subject=flag.subject,
        session=flag.ask.session,
        trace_id=flag.ask.trace_id,
        floor=flag.terms.floor,
        held_back=flag.held,
    )


def _context(subject: Subject, placement: str) -> DecisionContext:
    def known(name: str) -> str | None:
        value = subject.attributes.get(name)
        return value if isinstance(value, str) else None

    return DecisionContext(
        placement=placement,
        persona=known("persona"),
        segment=known("segment"),
        category=known("category"),
        region=known("region"),
        season=known("season"),
        device=known("device"),
    )


def _seconds(flags: Sequence[OpenFlag]) -> float | None:
    """How long the first of them to give up waits."""
    return min((each.ask.deadline.remaining() for each in flags if each.ask.deadline is not None), default=None)
