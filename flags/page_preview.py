"""What a viewer would get, and why: the components of a page with the layer and the rule behind each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flags.components import ComponentChoice, Components
from flags.evaluation import Decider, FlagSet
from flags.explanation import Explanation, Step, explain
from flags.subject import Subject
from flags.terms import terms_of


@dataclass(frozen=True, slots=True)
class PreviewedComponent:
    """One component as a viewer would get it.

    `because` is what the answer stands on in a line, `steps` all that was looked at. `candidates` are the variants that
    a decision chooses among where the rules leave a personalized flag open; `choice` is then what it is if nothing is
    decided. Empty everywhere else.
    """

    choice: ComponentChoice
    because: str
    steps: tuple[Step, ...] = ()
    candidates: tuple[str, ...] = ()


def preview_page(
    flags: FlagSet, subject: Subject, page: str | None, supports: Mapping[str, Sequence[str]] | None = None
) -> list[PreviewedComponent]:
    """The components of a page (None: of all pages) for this subject, in the order of the definitions.

    `supports` says which versions the viewer's client can render; of components that it leaves out it can render all.
    """
    choices = Components(lambda: flags).choose(subject, page=page, supports=supports)
    return [_of(flags, choice, subject, supports) for choice in choices]


def _of(
    flags: FlagSet, choice: ComponentChoice, subject: Subject, supports: Mapping[str, Sequence[str]] | None
) -> PreviewedComponent:
    if choice.flag_key is None:
        return PreviewedComponent(choice, "no flag")
    explanation = explain(flags, choice.flag_key, subject)
    flag = flags.flags[choice.flag_key].definition
    candidates: tuple[str, ...] = ()
    terms = terms_of(flag)
    if explanation.evaluation.left_open and terms is not None:
        candidates = terms.actions_for(flag, subject.attributes.get("persona"), supports)
    return PreviewedComponent(choice, _because(explanation, candidates, flag.metadata), explanation.steps, candidates)


def _because(explanation: Explanation, candidates: tuple[str, ...], metadata: Mapping[str, object]) -> str:
    evaluation = explanation.evaluation
    if evaluation.error_message is not None:
        return evaluation.error_message
    if evaluation.decided_by is Decider.KILL_SWITCH:
        return "the flag is disabled"
    if candidates:
        shares = [f"{name} {metadata[name]}" for name in ("floor", "holdback") if name in metadata]
        return f"decided among {', '.join(candidates)}" + (f" ({', '.join(shares)})" if shares else "")
    if evaluation.left_open:
        return "no rule answers"
    decisive = [_line(step) for step in explanation.steps[:-1] if _is_decisive(step)]
    return " and ".join(decisive) or "no condition holds: the last branch"


def _is_decisive(step: Step) -> bool:
    """Whether a branch was taken for it."""
    return step.expression == "bucket" or (step.depth == 0 and step.gave == "true")


def _line(step: Step) -> str:
    return f"bucket {step.gave}" if step.expression == "bucket" else step.expression
