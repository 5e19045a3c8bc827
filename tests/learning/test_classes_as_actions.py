"""Two data sets with classes as bandit tasks: one action a class, reward 1 if right; beside a LinUCB written here.

The policy's own contexts have names for values, and these data have numbers, so what is tried here is how it explores
and learns (`VwSettings`, the floor, the draw), with a text of its own. Rewards are certain here, so the settings
explore less and learn faster than the standard ones, which are made for clicks; those are reported too.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from river.datasets import ImageSegments
from sklearn.datasets import load_digits
from vowpalwabbit import Workspace

from personalization.bandit.sampling import floored, normalized, sample
from personalization.bandit.vw import _learn, _predicted
from personalization.bandit.vw_settings import VwSettings

Features = NDArray[np.float64]
STANDARD = VwSettings(interactions=("ca",))
CERTAIN = VwSettings(interactions=("ca",), gamma_scale=100.0, learning_rate=2.0)
PASSES = 5


class Task:
    """Rows in a shuffled order, so many times over: features of mean 0 and deviation 1, and the class of each."""

    def __init__(self, features: Sequence[Sequence[float]], classes: Sequence[int]) -> None:
        table = np.asarray(features, dtype=np.float64)
        spread = table.std(axis=0)
        table = (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        chance = np.random.default_rng(7)
        order = np.concatenate([chance.permutation(len(classes)) for _ in range(PASSES)])
        self.actions = max(classes) + 1
        self.features: Features = table[order]
        self.classes = [classes[each] for each in order]


def digits() -> Task:
    """1,797 pictures of ten digits, 64 pixels each."""
    data = load_digits()
    return Task(data.data.tolist(), data.target.tolist())


def segments() -> Task:
    """2,310 segments of pictures of seven kinds, 18 measures each."""
    rows = list(ImageSegments())  # type: ignore[no-untyped-call]  # river has no types
    kinds = sorted({kind for _, kind in rows})
    return Task([list(features.values()) for features, _ in rows], [kinds.index(kind) for _, kind in rows])


def lin_ucb(task: Task, alpha: float = 0.5) -> float:
    """Mean reward of LinUCB with disjoint models (Li, Chu, Langford and Schapire 2010, algorithm 1)."""
    size = task.features.shape[1] + 1
    inverse = np.stack([np.eye(size)] * task.actions)
    weighted = np.zeros((task.actions, size))
    right = 0
    for row, kind in zip(task.features, task.classes, strict=True):
        x = np.append(row, 1.0)
        spread = inverse @ x
        scores = np.einsum("ad,ad->a", spread, weighted) + alpha * np.sqrt(spread @ x)
        chosen = int(np.argmax(scores))
        reward = float(chosen == kind)
        right += int(reward)
        weighted[chosen] += reward * x
        along = spread[chosen]
        inverse[chosen] -= np.outer(along, along) / (1.0 + along @ x)  # Sherman and Morrison
    return right / len(task.classes)


def squarecb(task: Task, settings: VwSettings) -> float:
    """Mean reward of the policy's exploration and learning, floor included."""
    workspace = Workspace(arg_list=settings.arguments())
    right = 0
    for number, (row, kind) in enumerate(zip(task.features, task.classes, strict=True)):
        shared = "shared |c " + " ".join(f"{place}:{value:.4f}" for place, value in enumerate(row) if value)
        actions = [f"|a {each}" for each in range(task.actions)]
        given = normalized(_predicted(workspace, "\n".join([shared, *actions])), task.actions)
        distribution = floored(given, settings.floor_share / task.actions)
        chosen = sample(distribution, f"row-{number}")
        right += chosen == kind
        actions[chosen] = f"0:{float(chosen != kind)}:{distribution[chosen]!r} {actions[chosen]}"
        _learn(workspace, "\n".join([shared, *actions]))
    return right / len(task.classes)


@pytest.mark.parametrize("task", [digits(), segments()], ids=["digits", "segments"])
def test_it_earns_nine_tenths_of_what_lin_ucb_earns(task: Task) -> None:
    beside, standard, ours = lin_ucb(task), squarecb(task, STANDARD), squarecb(task, CERTAIN)
    print(f"LinUCB {beside:.3f}; SquareCB with a floor {ours:.3f}, standard {standard:.3f}")  # noqa: T201  a report
    assert ours >= 0.9 * beside
    assert standard >= 0.85 * beside
