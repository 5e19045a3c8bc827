"""Logs made by a known policy in a known world, to judge other policies on."""

from collections.abc import Callable, Sequence
from random import Random

from personalization.events import DecisionContext, Persona, ShelfAction
from personalization.learning.estimators import LoggedChoice

ACTIONS = tuple(each.value for each in ShelfAction)
PERSONAS = tuple(each.value for each in Persona)
EVEN = (0.25,) * 4
SKEWED = (0.4, 0.3, 0.2, 0.1)

Chances = Callable[[DecisionContext], tuple[float, ...]]


def at(persona: str) -> DecisionContext:
    return DecisionContext("HOME", persona=persona, category="c1", season="SUMMER")


def row(reward: float, index: int = 0, distribution: tuple[float, ...] = EVEN, cluster: str = "s1") -> LoggedChoice:
    return LoggedChoice(at("VISITOR"), ACTIONS[: len(distribution)], distribution, index, reward, cluster)


def chance_of_basket(persona: str, index: int) -> float:
    """The world: each persona likes one action, and no two alike but the last."""
    return 0.6 if index == PERSONAS.index(persona) % 4 else 0.15


def worth(policy: Chances) -> float:
    """What a policy earns, exactly; the personas are equally frequent."""
    return sum(
        3.0 * chance * chance_of_basket(persona, index) / len(PERSONAS)
        for persona in PERSONAS
        for index, chance in enumerate(policy(at(persona)))
    )


def log(rows: int, seed: int, policy: Chances = lambda _: SKEWED, subjects: int | None = None) -> list[LoggedChoice]:
    """So many decisions of a policy, of as many subjects unless said otherwise."""
    chance = Random(seed)
    logged = []
    for number in range(rows):
        context = at(chance.choice(PERSONAS))
        distribution = policy(context)
        index = chance.choices(range(4), distribution)[0]
        reward = 3.0 if chance.random() < chance_of_basket(context.persona or "", index) else 0.0
        logged.append(LoggedChoice(context, ACTIONS, distribution, index, reward, f"s{number % (subjects or rows)}"))
    return logged


def liking(context: DecisionContext) -> tuple[float, ...]:
    """A good policy: mostly what the persona likes."""
    liked = PERSONAS.index(context.persona or "") % 4
    return tuple(0.85 if index == liked else 0.05 for index in range(4))


class Known:
    """A policy that gives what a function does."""

    def __init__(self, version: str, chances: Chances) -> None:
        self._version = version
        self._chances = chances

    @property
    def version(self) -> str:
        return self._version

    def distribution(self, context: DecisionContext, actions: Sequence[str]) -> tuple[float, ...]:
        return self._chances(context)
