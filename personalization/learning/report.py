"""What an offline study found, as a page with plots that needs nothing else."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import isfinite
from types import MappingProxyType

from personalization.charts import Bar, figure, interval_chart, page, table
from personalization.learning.estimators import Interval, Method
from personalization.learning.gain import Arm, Gain
from personalization.learning.offline import Study
from personalization.learning.promotion import Scores, Trial

_CAPTIONS: Mapping[Method, str] = MappingProxyType(
    {
        Method.DR: "Doubly robust, cross-fitted: what each policy would have earned a decision.",
        Method.SNIPS: "Self-normalized importance sampling, which needs no reward model.",
        Method.IPS: "Importance sampling: unbiased, and the widest.",
    }
)


def study_page(found: Study, title: str) -> str:
    """All scores, the gains over the live policy, the check of the log, and the verdicts."""
    trial = found.trial
    scores = all_scores(trial)
    parts = [f"<p>{_summary(trial)}</p>"]
    parts += [_score_chart(scores, method) for method in (Method.DR, Method.SNIPS, Method.IPS)]
    parts.append(_gain_chart(trial))
    parts.append(table(SCORE_HEAD, score_rows(trial)))
    parts.append("<h2>The log itself</h2>")
    parts.append(
        table(
            ("always", "rows", "mean weight", "standard error", "sound"),
            [
                (action, f"{each.rows:,}", f"{each.mean:.3f}", f"{each.error:.3f}", "yes" if each.sound else "NO")
                for action, each in trial.weight_sums.items()
            ],
        )
    )
    parts.append("<p>The mean weight of each constant action is 1 but for chance, or the log is not true.</p>")
    parts.append("<h2>Candidates</h2>")
    parts.append(
        table(
            ("candidate", "learned from", "settings", "SHA-256 of what was learned"),
            [
                (
                    each.name,
                    f"{each.data.events:,}",
                    " ".join(f"{name}={value}" for name, value in each.settings.record().items()),
                    _digest(each.snapshot.model),
                )
                for each in found.candidates
            ],
        )
    )
    return page(title, parts)


SCORE_HEAD = ("policy", "DR", "SNIPS", "IPS", "effective rows", "mean weight", "gain over live", "verdict")


def all_scores(trial: Trial) -> tuple[Scores, ...]:
    """The candidates' scores, then the others'."""
    return (*(each.scores for each in trial.candidates), *trial.others)


def score_rows(trial: Trial) -> list[tuple[str, ...]]:
    """A row of texts for each policy, as `SCORE_HEAD` says."""
    judged = {each.scores.policy: each for each in trial.candidates}
    rows = []
    for scores in all_scores(trial):
        judgement = judged.get(scores.policy)
        rows.append(
            (
                f"{scores.policy} (live)" if scores.policy == trial.live else scores.policy,
                *(_interval_text(scores.values[method]) for method in (Method.DR, Method.SNIPS, Method.IPS)),
                f"{scores.effective:,.0f}",
                f"{scores.weight_mean:.3f}",
                "" if judgement is None else _interval_text(judgement.gains[trial.live]),
                "" if judgement is None else judgement.verdict.value,
            )
        )
    return rows


GAIN_HEAD = ("placement", "decided", "subjects", "reward", "held back", "subjects", "reward", "gain", "verdict")


def gain_rows(gains: Sequence[Gain]) -> list[tuple[str, ...]]:
    """A row of texts for each placement, as `GAIN_HEAD` says; what there is none of is left empty."""
    return [
        (
            each.placement,
            *_arm_texts(each.decided),
            *_arm_texts(each.held_back),
            "" if each.gain is None else _interval_text(each.gain),
            each.verdict.value,
        )
        for each in gains
    ]


def _arm_texts(arm: Arm | None) -> tuple[str, str, str]:
    return ("0", "0", "") if arm is None else (f"{arm.rows:,}", f"{arm.subjects:,}", _interval_text(arm.reward))


def _summary(trial: Trial) -> str:
    return (
        f"{trial.rows:,} held out decisions of {trial.clusters:,} subjects. Intervals are clustered by subject, at "
        f"{trial.rules.confidence:.0%} for all candidates together. A candidate takes over only when the lower "
        "bound of its gain over what is live is above zero."
    )


def _score_chart(scores: Sequence[Scores], method: Method) -> str:
    bars = [_bar(each.policy, each.values[method]) for each in scores]
    return figure(interval_chart(bars, "reward of a decision"), _CAPTIONS[method])


def _gain_chart(trial: Trial) -> str:
    bars = [_bar(each.scores.policy, each.gains[trial.live]) for each in trial.candidates]
    return figure(interval_chart(bars, f"gain over {trial.live}", 0.0), "What each candidate earns more, in pairs.")


def _bar(name: str, interval: Interval) -> Bar:
    """With a single subject nothing is known about the error, so only the value is drawn."""
    if not isfinite(interval.error):
        return Bar(name, interval.value, interval.value, interval.value)
    return Bar(name, interval.low, interval.value, interval.high)


def _interval_text(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _digest(model: bytes) -> str:
    return sha256(model).hexdigest()[:16]
