"""The flags of one visit: one set of definitions, one answer to each question, one batch of decisions a page."""

from collections.abc import Callable, Sequence

from opentelemetry.trace import Tracer

from flags.evaluation import FlagSet
from flags.layers import Answer, Ask, OpenFlag
from flags.personalized import PersonalizedFlags, filled_in
from resolvers.batching import BatchLoader, LoaderMetrics
from resolvers.context import EffectiveContext

AskOf = Callable[[EffectiveContext | None], Ask]


class PageFlags:
    """Asks for all fields of a visit. Two of them that ask the same get the same answer."""

    def __init__(
        self, flags: FlagSet, answers: PersonalizedFlags, ask_of: AskOf, *, tracer: Tracer, metrics: LoaderMetrics
    ) -> None:
        self.flags = flags
        self.answers = answers
        self._ask_of = ask_of
        self._tracer = tracer
        self._metrics = metrics
        self._open: dict[tuple[str, EffectiveContext], OpenFlag] = {}
        self._decisions: BatchLoader[tuple[str, EffectiveContext], Answer] | None = None

    async def answer(self, keys: Sequence[str], context: EffectiveContext | None) -> list[Answer]:
        """One answer for each key, in their order; without a context the public default. Never raises."""
        found = self.answers.at_once(self.flags, keys, self._ask_of(context))
        opened = [each for each in found if isinstance(each, OpenFlag)]
        if context is None or not opened:
            return filled_in(found, ())
        if self._decisions is None:  # made when it is needed: most pages are kept
            self._decisions = BatchLoader("flags", self._decide, tracer=self._tracer, metrics=self._metrics)
        asked = [(each.key, context) for each in opened]
        self._open.update(zip(asked, opened, strict=True))
        return filled_in(found, await self._decisions.load_many(asked))

    def cancel(self) -> None:
        """Stop what nobody waits for any more."""
        if self._decisions is not None:
            self._decisions.cancel()

    async def _decide(self, asked: Sequence[tuple[str, EffectiveContext]]) -> list[Answer]:
        return await self.answers.decide(self.flags, [self._open[each] for each in asked])
