"""A question that many ask: what the policy says of it is looked up once, and then drawn from for each of them."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from personalization.bandit.policy import Policy
from personalization.bandit.sampling import uppers
from personalization.decision.live_policy import LivePolicy
from personalization.decision.question import Question
from personalization.events import Decision, DecisionMode

if TYPE_CHECKING:
    from personalization.decision.service import DecisionService


@dataclass(frozen=True, slots=True)
class Lot:
    """What is drawn from: by which policy, in which mode, and where each action's part of [0, 1) ends."""

    mode: DecisionMode
    policy: str
    distribution: tuple[float, ...]
    ends: tuple[float, ...]

    @classmethod
    def of(cls, mode: DecisionMode, policy: str, distribution: tuple[float, ...]) -> "Lot":
        """The lot of a normalized distribution."""
        return cls(mode, policy, distribution, uppers(distribution))


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

    def draw(self, asker: Asker) -> Decision:
        """A decision for whoever asks, neither journalled nor counted."""
        live = self._live
        if live is not None and live.current is not self._seen:
            self._look()
        service, question, lot = self._service, self._question, self._lot
        if lot is None or (self._holds_back and service.in_holdback(asker)):
            return service.draw(
                replace(question, subject=asker.subject, session=asker.session, trace_id=asker.trace_id)
            )
        return service.drawn(question, asker, lot)

    def _look(self) -> None:
        """See who draws now, and what from."""
        service, question = self._service, self._question
        self._seen = self._live.current if self._live is not None else None
        mode, policy = service.standing(question.context.placement)
        self._holds_back = service.may_hold_back(question, mode)
        self._lot = self._lot_of(mode, policy) if service.is_drawn(question, mode) else None

    def _lot_of(self, mode: DecisionMode, policy: Policy) -> Lot | None:
        try:
            return Lot.of(mode, policy.version, self._service.distribution(self._question, policy))
        except Exception:  # whatever it is: who draws each time says so each time, and falls back
            return None
