"""Scores customers: all of them after a closing, and one that nobody knew then."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from personalization.classification.dataset import Frozen
from personalization.classification.profiles import Assigned, Head, Origin, Profiles, encode_profiles
from personalization.classification.table import Value

if TYPE_CHECKING:
    from personalization.classification.model import Classifier


def score_all(model: "Classifier", closed: Frozen, label: str) -> bytes:
    """The profile store of a closing, scored by the model of this label.

    Raises:
        SchemaMismatch: the model learned other columns.
        ClosingRefused: a customer cannot be stored; see `encode_profiles`.
    """
    scores = model.score(closed.table)
    best = scores.best.tolist()
    head = Head(
        model=label,
        period=str(closed.period),
        schema_hash=model.schema.hash,
        segments=model.segments,
        names=closed.names,
        priors=priors([model.segments[index] for index in best], closed.personas),
        days=closed.days,
    )
    return encode_profiles(head, closed.table.customers, best, scores.probabilities.max(axis=1).tolist())


def priors(segments: Sequence[str], personas: Sequence[str]) -> dict[str, tuple[str, float]]:
    """The most usual segment and its share, by persona, and of everybody under `""`; ties by the alphabet."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for segment, persona in zip(segments, personas, strict=True):
        counts[persona][segment] += 1
        counts[""][segment] += 1
    found = {}
    for persona, of_persona in counts.items():
        segment = min(of_persona, key=lambda key: (-of_persona[key], key))
        found[persona] = (segment, of_persona[segment] / of_persona.total())
    return found


class NewcomerScorer:
    """Scores those who were not there at the closing, one at a time, by the model that made the profile store."""

    def __init__(self, model: "Classifier", profiles: Profiles) -> None:
        self._model = model
        self._profiles = profiles

    def score(self, known: Mapping[str, Value]) -> Assigned:
        """The segment of somebody of whom so much is known. About 0.1 ms; names that are no column are left out."""
        segment, probability = self._model.score_one(known)
        return self._profiles.assigned(segment, probability, Origin.SCORED)
