"""Which UI components a page shows, in which version: read from the flags that name a component."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from openfeature.flag_evaluation import Reason

from flags.definition import FlagDefinition
from flags.evaluation import CompiledFlag, Decider, Evaluation, FlagSet
from flags.metrics import FlagMetrics
from flags.subject import Subject

OFF = "off"


class ComponentReason(StrEnum):
    """Why a component is as it is; whether it is on says `enabled`.

    - `DEFAULT`: no rule answered, so it is what it is for everyone.
    - `TARGETING`: a rule of its flag answered, for this subject.
    - `DOWNGRADED`: the client cannot render the version that was chosen and gets the newest lower one that it can.
    - `KILL_SWITCH`: its flag is disabled.
    - `UNSUPPORTED_VERSION`: the client can render neither the version chosen nor a lower one.
    - `NOT_ON_PAGE`: it was asked for by name on a page where it does not stand.
    - `UNKNOWN_COMPONENT`: no flag names it.
    - `ERROR`: its flag could not be evaluated.
    """

    DEFAULT = "DEFAULT"
    TARGETING = "TARGETING"
    DOWNGRADED = "DOWNGRADED"
    KILL_SWITCH = "KILL_SWITCH"
    UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"
    NOT_ON_PAGE = "NOT_ON_PAGE"
    UNKNOWN_COMPONENT = "UNKNOWN_COMPONENT"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class ComponentChoice:
    """One component as a subject gets it.

    `version` (`v2`) is None when it is off, and when its flag only switches it on. `variant` is the flag's.
    """

    name: str
    version: str | None
    enabled: bool
    reason: ComponentReason
    decided_by: Decider
    flag_key: str | None = None
    variant: str | None = None


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
        index = self._index_of(flags)
        attributes = flags.attributes_of(subject)
        wanted = index.names_on(page) if names is None else names
        evaluations: list[Evaluation] = []
        choices = []
        for name in wanted:
            flag = index.flags.get(name)
            if flag is None or not index.stands_on(name, page):
                choices.append(_absent(name, flag))
                continue
            evaluation = flag.ask(attributes)
            evaluations.append(evaluation)
            choices.append(_rendered(_choice(name, evaluation), flag.definition, supports))
        if self._metrics is not None:
            self._metrics.evaluated(evaluations)
        return choices

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
        pages = frozenset().union(*self._pages.values())
        self._names = {page: tuple(name for name in self.flags if self.stands_on(name, page)) for page in pages}
        self._everywhere = tuple(name for name in self.flags if not self._pages[name])

    def names_on(self, page: str | None) -> tuple[str, ...]:
        return tuple(self.flags) if page is None else self._names.get(page, self._everywhere)

    def stands_on(self, name: str, page: str | None) -> bool:
        pages = self._pages[name]
        return page is None or not pages or page in pages


def _absent(name: str, flag: CompiledFlag | None) -> ComponentChoice:
    if flag is None:
        return ComponentChoice(name, None, False, ComponentReason.UNKNOWN_COMPONENT, Decider.DEFAULT)
    key = flag.definition.key
    return ComponentChoice(name, None, False, ComponentReason.NOT_ON_PAGE, Decider.DEFAULT, key)


def _choice(name: str, evaluation: Evaluation) -> ComponentChoice:
    value = evaluation.value
    enabled = value is not None and value is not False and value != OFF
    version = value if enabled and isinstance(value, str) else None
    return ComponentChoice(
        name, version, enabled, _reason(evaluation), evaluation.decided_by, evaluation.key, evaluation.variant
    )


def _reason(evaluation: Evaluation) -> ComponentReason:
    if evaluation.reason is Reason.ERROR:
        return ComponentReason.ERROR
    if evaluation.decided_by is Decider.KILL_SWITCH:
        return ComponentReason.KILL_SWITCH
    return ComponentReason.DEFAULT if evaluation.decided_by is Decider.DEFAULT else ComponentReason.TARGETING


def _rendered(
    choice: ComponentChoice, definition: FlagDefinition, supports: Mapping[str, Sequence[str]] | None
) -> ComponentChoice:
    """The choice, or the newest lower version that the client can render."""
    supported = None if supports is None else supports.get(choice.name)
    if supported is None or choice.version is None or choice.version in supported:
        return choice
    chosen = _number(choice.version)
    lower = {
        _number(value): variant
        for variant, value in definition.variants.items()
        if isinstance(value, str) and value != OFF and value in supported and _number(value) < chosen
    }
    if not lower:
        return replace(choice, version=None, enabled=False, reason=ComponentReason.UNSUPPORTED_VERSION)
    newest = max(lower)
    return replace(choice, version=f"v{newest}", variant=lower[newest], reason=ComponentReason.DOWNGRADED)


def _number(version: str) -> int:
    """2 for `v2`; definitions are checked to have no other form."""
    return int(version[1:])
