"""A question that many ask: what the policy says of it is looked up once, and then drawn from for each of them."""

from bisect import bisect_right
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from personalization.bandit.policy import Policy
from personalization.bandit.sampling import bounds, unit_interval
from personalization.decision.live_policy import LivePolicy
from personalization.decision.question import Question
from personalization.events import Chance, DecisionMode, Drawn

if TYPE_CHECKING:
    from personalization.decision.service import DecisionService

DRAWN: Final = "DRAWN"
"""The reason of a decision that was drawn."""


class Asker(Protocol):
    """For whom something is decided, and in which trace, which is not recorded."""

    @property
    def subject(self) -> str | None:
        """The pseudonym."""
        ...

    @property
    def session(self) -> str | None:
        """The browsing session."""
        ...

    @property
    def trace_id(self) -> str | None:
        """The trace, 32 hex digits."""
        ...


class Lot:
    """What is drawn from: a question's actions, each by its part of [0, 1), by which policy and in which mode.

    `distribution` is a normalized one, of one length with the actions.
    """

    __slots__ = ("_actions", "_bounds", "_chances", "_context", "_distribution", "_mode", "_policy")

    def __init__(self, question: Question, mode: DecisionMode, policy: str, distribution: tuple[float, ...]) -> None:
        self._context = question.context
        self._actions = question.actions
        self._mode = mode
        self._policy = policy
        self._distribution = distribution
        self._bounds = bounds(distribution)
        self._chances: dict[int, Chance] = {}

    def drawn(self, decision_id: str, at: datetime, asker: Asker) -> Drawn:
        """A decision of this id for whoever asks, drawn by the hash of the id."""
        index = bisect_right(self._bounds, unit_interval(decision_id))
        chance = self._chances.get(index) or self._chance(index)
        return Drawn(decision_id, at, chance, asker.subject, asker.session, asker.trace_id)

    def _chance(self, index: int) -> Chance:
        chance = self._chances[index] = Chance(
            context=self._context,
            actions=self._actions,
            distribution=self._distribution,
            action=self._actions[index],
            probability=self._distribution[index],
            policy=self._policy,
            mode=self._mode,
            reason=DRAWN,
        )
        return chance


class Lottery:
    """Draws for one question. The answers are those of `DecisionService.draw`, who is asked wherever nothing is drawn.

    Made by `DecisionService.lottery`. `live` is whose policy draws, as soon as there is one; None where none ever does.
    """

    __slots__ = ("_holds_back", "_live", "_lot", "_question", "_seen", "_service")

    def __init__(self, service: "DecisionService", question: Question, live: LivePolicy | None) -> None:
        self._service = service
        self._question = question
        self._live = live
        self._look()

    def draw(self, asker: Asker) -> Drawn:
        """A decision for whoever asks, neither journalled nor counted."""
        live = self._live
        if live is not None and live.current is not self._seen:
            self._look()
        service, question, lot = self._service, self._question, self._lot
        if lot is None or (self._holds_back and service.in_holdback(asker)):
            asked = replace(question, subject=asker.subject, session=asker.session, trace_id=asker.trace_id)
            return Drawn.of(service.draw(asked))
        return service.drawn(asker, lot)

    def _look(self) -> None:
        """See who draws now, and what from."""
        service, question = self._service, self._question
        self._seen = self._live.current if self._live is not None else None
        mode, policy = service.standing(question.context.placement)
        self._holds_back = service.may_hold_back(question, mode)
        self._lot = self._lot_of(mode, policy) if service.is_drawn(question, mode) else None

    def _lot_of(self, mode: DecisionMode, policy: Policy) -> Lot | None:
        try:
            return self._service.lot(self._question, policy, mode)
        except Exception:  # whatever it is: who draws each time says so each time, and falls back
            return None
