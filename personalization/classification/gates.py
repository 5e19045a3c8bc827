"""The gates that a classifier must pass to be deployed, and what each of them said."""

from dataclasses import dataclass

from personalization.classification.dataset import Period
from personalization.classification.evaluate import Evaluation
from personalization.registry_records import Json


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the gates are.

    `equal` is how far the lower bound of the gain in macro-F1 may be below zero for a fresher model to be equal;
    `calibration` the largest expected calibration error; `recall` the least of any segment of `support` test rows.
    """

    equal: float = 0.03
    calibration: float = 0.07
    recall: float = 0.3
    support: int = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate said: `value` against `limit`, and by how much it is off (0 when passed), in a sentence."""

    gate: str
    passed: bool
    value: float | None
    limit: float | None
    off_by: float
    because: str

    def record(self) -> dict[str, Json]:
        """For the registry."""
        return {name: getattr(self, name) for name in self.__slots__}


def judge(
    found: Evaluation,
    *,
    period: Period,
    live_period: Period | None,
    schema_hash: str,
    live_schema_hash: str | None,
    limits: Limits,
    accepted_schema: str | None = None,
) -> tuple[Verdict, ...]:
    """The verdicts of all gates, in one order. `accepted_schema` is the hash of columns that may take over."""
    return (
        _schema(schema_hash, live_schema_hash, accepted_schema),
        _better(found, period, live_period, limits),
        _calibrated(found, limits),
        _not_collapsed(found, limits),
    )


def refusal(verdicts: tuple[Verdict, ...]) -> str | None:
    """Which gates refuse and by how much, in a sentence; None when all are passed."""
    refused = [f"{each.gate}: {each.because}" for each in verdicts if not each.passed]
    return "; ".join(refused) or None


def _schema(mine: str, live: str | None, accepted: str | None) -> Verdict:
    if live is None:
        return Verdict("schema", True, None, None, 0.0, f"nothing is live, features are {mine}")
    if mine == live:
        return Verdict("schema", True, None, None, 0.0, f"features are {mine}, as those of the live model")
    if accepted == mine:
        return Verdict("schema", True, None, None, 0.0, f"features {mine} were accepted in place of {live}")
    because = f"features are {mine}, those of the live model {live}: accept them by --accept-schema {mine}"
    return Verdict("schema", False, None, None, 1.0, because)


def _better(found: Evaluation, period: Period, live_period: Period | None, limits: Limits) -> Verdict:
    gain = found.gain_on_live
    if gain is None:
        bound = found.gain_on_majority.lower
        because = f"lower bound of macro-F1 over the majority class is {bound:+.4f}"
        return _at_least("better", bound, 0.0, because, strict=True)
    told = f"macro-F1 over the live model is {gain.middle:+.4f}, 95 % within {gain.lower:+.4f} and {gain.upper:+.4f}"
    if gain.lower > 0:
        return Verdict("better", True, gain.lower, 0.0, 0.0, told)
    if live_period is not None and period > live_period:
        return _at_least("better", gain.lower, -limits.equal, f"fresher, and {told}")
    return _at_least("better", gain.lower, 0.0, f"not fresher, and {told}", strict=True)


def _calibrated(found: Evaluation, limits: Limits) -> Verdict:
    error, most = found.candidate.calibration, limits.calibration
    off = max(error - most, 0.0)
    because = f"calibration error is {error:.4f}, at most {most:.4f} is allowed"
    return Verdict("calibrated", error <= most, error, most, off, _off(because, off))


def _not_collapsed(found: Evaluation, limits: Limits) -> Verdict:
    marks = found.candidate
    judged = {name: recall for name, recall in marks.recall.items() if marks.support[name] >= limits.support}
    if not judged:
        because = f"no segment has {limits.support} test rows, so none can be judged"
        return Verdict("not collapsed", False, None, limits.recall, limits.recall, because)
    worst = min(judged, key=lambda name: (judged[name], name))
    because = f"recall of {worst!r}, the least told, is {judged[worst]:.4f} of {marks.support[worst]} rows"
    return _at_least("not collapsed", judged[worst], limits.recall, because)


def _at_least(gate: str, value: float, limit: float, because: str, *, strict: bool = False) -> Verdict:
    passed = value > limit if strict else value >= limit
    off = 0.0 if passed else limit - value
    wanted = f"; {'more than' if strict else 'at least'} {limit:+.4f} is needed"
    return Verdict(gate, passed, value, limit, off, _off(because + wanted, off))


def _off(because: str, off: float) -> str:
    return f"{because}, off by {off:.4f}" if off else because
