"""A question that many ask: what the policy says of it is looked up once, and then drawn from for each of them."""

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from personalization.bandit.policy import Policy
from personalization.bandit.sampling import sample_below, uppers
from personalization.decision.live_policy import LivePolicy
from personalization.decision.question import Question
from personalization.events import Decision

if TYPE_CHECKING:
    from personalization.decision.service import DecisionService

DRAWN = "DRAWN"


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

    __slots__ = (
        "_distribution",
        "_ends",
        "_holds_back",
        "_live",
        "_mode",
        "_policy",
        "_question",
        "_seen",
        "_service",
        "_version",
    )

    def __init__(self, service: "DecisionService", question: Question, live: LivePolicy | None) -> None:
        self._service = service
        self._question = question
        self._live = live
        self._look()

    def draw(self, asker: Asker) -> Decision:
        """A decision for whoever asks, neither journalled nor counted."""
        if self._live is not None and self._live.current is not self._seen:
            self._look()
        service, question = self._service, self._question
        if not self._ends or (self._holds_back and service.holds_back(question, asker)):
            return service.draw(
                replace(question, subject=asker.subject, session=asker.session, trace_id=asker.trace_id)
            )
        decision_id = service.ids()
        index = sample_below(self._ends, decision_id)
        return Decision(
            id=decision_id,
            at=service.clock.now(),
            context=question.context,
            actions=question.actions,
            distribution=self._distribution,
            action=question.actions[index],
            probability=self._distribution[index],
            policy=self._version,
            mode=self._mode,
            reason=DRAWN,
            subject=asker.subject,
            session=asker.session,
            trace_id=asker.trace_id,
        )

    def _look(self) -> None:
        """See who draws now, and what from."""
        self._seen = self._live.current if self._live is not None else None
        self._mode, policy = self._service.standing(self._question.context.placement)
        self._version = policy.version
        drawn = self._service.is_drawn(self._question, self._mode)
        self._holds_back = self._service.may_hold_back(self._question, self._mode)
        self._distribution = self._from(policy) if drawn else ()
        self._ends = uppers(self._distribution)

    def _from(self, policy: Policy) -> tuple[float, ...]:
        try:
            return self._service.distribution(self._question, policy)
        except Exception:  # whatever it is: who draws each time says so each time, and falls back
            return ()
