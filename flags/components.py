"""Which UI components a page shows, in which version: read from the flags that name a component."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from openfeature.flag_evaluation import Reason

from flags.definition import FlagValue
from flags.evaluation import CompiledFlag, Decider, Evaluation, FlagSet
from flags.layers import Answer
from flags.metrics import FlagMetrics
from flags.rendering import DOWNGRADED, UNSUPPORTED_VERSION, VERSION, rendered, version_of
from flags.subject import Subject
from personalization.events import Decision


class ComponentReason(StrEnum):
    """Why a component is as it is; whether it is on says `enabled`.

    - `DEFAULT`: no rule answered, so it is what it is for everyone.
    - `TARGETING`: a rule of its flag answered, for this subject.
    - `DECISION`: a decision of the bandit chose among the versions that the persona may see.
    - `EXPERIMENT`: an experiment assigned it.
    - `HOLDBACK`: this viewer belongs to the share that always gets the default.
    - `PREVIEW`: a signed preview token forces it.
    - `DOWNGRADED`: the client cannot render the version that was chosen and gets the newest lower one that it can.
    - `KILL_SWITCH`: its flag is disabled.
    - `UNSUPPORTED_VERSION`: the client can render neither the version chosen nor a lower one.
    - `NOT_ON_PAGE`: it was asked for by name on a page where it does not stand.
    - `UNKNOWN_COMPONENT`: no flag names it.
    - `ERROR`: its flag could not be evaluated.
    """

    DEFAULT = "DEFAULT"
    TARGETING = "TARGETING"
    DECISION = "DECISION"
    EXPERIMENT = "EXPERIMENT"
    HOLDBACK = "HOLDBACK"
    PREVIEW = "PREVIEW"
    DOWNGRADED = "DOWNGRADED"
    KILL_SWITCH = "KILL_SWITCH"
    UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"
    NOT_ON_PAGE = "NOT_ON_PAGE"
    UNKNOWN_COMPONENT = "UNKNOWN_COMPONENT"
    ERROR = "ERROR"


_NO_VALUES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ComponentChoice:
    """One component as a subject gets it.

    `version` (`v2`) is None when it is off, and when its flag only switches it on. `variant` is the flag's, `values`
    what an object variant holds beside its version. `decision` and `exposure_id` are those of the answer.
    """

    name: str
    version: str | None
    enabled: bool
    reason: ComponentReason
    decided_by: Decider
    flag_key: str | None = None
    variant: str | None = None
    values: Mapping[str, Any] = field(default_factory=lambda: _NO_VALUES)
    decision: Decision | None = None
    exposure_id: str | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a component, and the flag to ask what stands there."""

    name: str
    flag: CompiledFlag

    def choice(self, answer: Answer) -> ComponentChoice:
        """The component that the answer of the flag makes of it."""
        evaluation = answer.evaluation
        value = evaluation.value
        version = version_of(value)
        return ComponentChoice(
            name=self.name,
            version=version,
            enabled=version is not None or value is True,
            reason=_reason(answer),
            decided_by=evaluation.decided_by,
            flag_key=evaluation.key,
            variant=evaluation.variant,
            values=_values_of(value),
            decision=answer.decision,
            exposure_id=answer.exposure_id,
        )


@dataclass(frozen=True, slots=True)
class Panel:
    """Places for components, in their order; where nothing is to be asked, the choice itself.

    `keys` are those of the flags to ask.
    """

    slots: Sequence[Slot | ComponentChoice]
    keys: Sequence[str]

    @classmethod
    def of(cls, slots: Sequence[Slot | ComponentChoice]) -> "Panel":
        """The panel of these places."""
        return cls(slots, tuple(slot.flag.definition.key for slot in slots if isinstance(slot, Slot)))


class Components:
    """The components of the flags in use."""

    def __init__(self, snapshot: Callable[[], FlagSet], metrics: FlagMetrics | None = None) -> None:
        """`snapshot` gives the set of flags in use; it is asked once for each choice."""
        self._snapshot = snapshot
        self._metrics = metrics
        self._indexed: tuple[FlagSet, _Index] | None = None

    def choose(
        self,
        subject: Subject,
        names: Sequence[str] | None = None,
        page: str | None = None,
        supports: Mapping[str, Sequence[str]] | None = None,
        *,
        flags: FlagSet | None = None,
    ) -> list[ComponentChoice]:
        """The components with these names, in their order; without names, those of the page (or all), as defined.

        All are decided over one set of definitions: `flags`, for those who choose more than once for one page, or the
        set in use. With names and a page, those that do not stand on it are off.
        `supports` says which versions the client can render; of components that it leaves out it can render all.
        """
        flags = flags or self._snapshot()
        attributes = flags.attributes_of(subject)
        evaluations: list[Evaluation] = []
        choices = []
        for slot in self.panel(flags, names, page).slots:
            if isinstance(slot, ComponentChoice):
                choices.append(slot)
                continue
            evaluation, why = rendered(slot.flag.ask(attributes), slot.flag.definition, supports)
            evaluations.append(evaluation)
            choices.append(slot.choice(Answer(evaluation, why=why)))
        if self._metrics is not None:
            self._metrics.evaluated(evaluations)
        return choices

    @property
    def current(self) -> FlagSet:
        """The set of flags in use."""
        return self._snapshot()

    def panel(self, flags: FlagSet, names: Sequence[str] | None = None, page: str | None = None) -> Panel:
        """The places for the components with these names, in their order; without names, for those of the page."""
        index = self._index_of(flags)
        return index.on(page) if names is None else Panel.of([index.slot(name, page) for name in names])

    def _index_of(self, flags: FlagSet) -> "_Index":
        indexed = self._indexed
        if indexed is None or indexed[0] is not flags:
            indexed = self._indexed = (flags, _Index(flags.flags.values()))
        return indexed[1]


class _Index:
    """The flags of one set by the component that they switch, and by the page on which it stands."""

    def __init__(self, flags: Iterable[CompiledFlag]) -> None:
        self.flags = {flag.definition.component: flag for flag in flags if flag.definition.component is not None}
        self._pages = {name: frozenset(flag.definition.pages) for name, flag in self.flags.items()}
        self._slots = {name: Slot(name, flag) for name, flag in self.flags.items()}
        self._everywhere = Panel.of([slot for slot in self._slots.values() if not self._pages[slot.name]])
        self._on = {page: self._those_on(page) for page in (None, *frozenset().union(*self._pages.values()))}

    def on(self, page: str | None) -> Panel:
        return self._on.get(page, self._everywhere)

    def _those_on(self, page: str | None) -> Panel:
        return Panel.of([slot for slot in self._slots.values() if self.stands_on(slot.name, page)])

    def stands_on(self, name: str, page: str | None) -> bool:
        pages = self._pages[name]
        return page is None or not pages or page in pages

    def slot(self, name: str, page: str | None) -> Slot | ComponentChoice:
        slot = self._slots.get(name)
        return slot if slot is not None and self.stands_on(name, page) else _absent(name, self.flags.get(name))


def _values_of(value: FlagValue | None) -> Mapping[str, Any]:
    """What an object variant holds beside its version."""
    if isinstance(value, str) or not isinstance(value, Mapping):
        return _NO_VALUES
    return MappingProxyType({name: each for name, each in value.items() if name != VERSION})


def _absent(name: str, flag: CompiledFlag | None) -> ComponentChoice:
    if flag is None:
        return ComponentChoice(name, None, False, ComponentReason.UNKNOWN_COMPONENT, Decider.DEFAULT)
    key = flag.definition.key
    return ComponentChoice(name, None, False, ComponentReason.NOT_ON_PAGE, Decider.DEFAULT, key)


_WORDS = MappingProxyType(
    {
        DOWNGRADED: ComponentReason.DOWNGRADED,
        UNSUPPORTED_VERSION: ComponentReason.UNSUPPORTED_VERSION,
    }
)
_DECIDERS = MappingProxyType(
    {
        Decider.KILL_SWITCH: ComponentReason.KILL_SWITCH,
        Decider.OVERRIDE: ComponentReason.PREVIEW,
        Decider.RULE: ComponentReason.TARGETING,
        Decider.HOLDBACK: ComponentReason.HOLDBACK,
        Decider.EXPERIMENT: ComponentReason.EXPERIMENT,
        Decider.BANDIT: ComponentReason.DECISION,
        Decider.DEFAULT: ComponentReason.DEFAULT,
    }
)


def _reason(answer: Answer) -> ComponentReason:
    if answer.evaluation.reason is Reason.ERROR:
        return ComponentReason.ERROR
    told = _WORDS.get(answer.why) if answer.why is not None else None
    return told or _DECIDERS[answer.evaluation.decided_by]
