"""What an operation may ask for: counted before it is validated, refused or noted when it is too much."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import structlog
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableDefinitionNode,
    parse,
)
from prometheus_client import CollectorRegistry, Counter

from gateway.errors import GraphQLSyntaxError, LimitExceeded
from gateway.execution.selections import Definition, selections, spread_order
from gateway.settings import LimitsMode, Settings

CEILING = 2**31 - 1
"""Where counting ends: more than any limit, and still a GraphQL Int."""

INTROSPECTION_DEPTH = 18
"""Deepest selection below `__schema` and `__type`; the standard introspection query has 15."""

WARN_FACTOR = 5
"""Limits that only warn still refuse documents of this many times the tokens, since reading them takes time."""

_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\"""|\\|"(?!""))*+(?:""")?'  # closing quotes are optional, so that nothing is read twice
    r'|"(?:[^"\\\n\r]|\\.)*+"?'
    r"|\#[^\n\r]*+"
    r"|\.\.\."
    r"|[_A-Za-z][_0-9A-Za-z]*+"
    r"|-?[0-9]++(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
    r"|[^\s,\ufeff]"
)


@dataclass(frozen=True, slots=True)
class Excess:
    """A limit that an operation is over."""

    limit: str
    received: int
    allowed: int


@dataclass(slots=True)
class Extent:
    """How much an operation or a fragment asks for, fragments opened at each place they are spread.

    `depth` leaves out what is below `__schema` and `__type`, which `introspection` measures. `roots` are the fields of
    its own level.
    """

    depth: int = 0
    introspection: int = 0
    aliases: int = 0
    roots: int = 0


def count_tokens(text: str) -> int:
    """How many tokens and comments a document has, as its lexer would count them."""
    return sum(1 for _ in _TOKEN.finditer(text))


def extent_of(operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]) -> Extent:
    """What an operation asks for, in time linear in its document; no count goes beyond `CEILING`."""
    known: dict[str, Extent] = {}
    for fragment in spread_order(operation, fragments):
        known[fragment.name.value] = _extent(fragment.selection_set, known)
    return _extent(operation.selection_set, known)


def count_directives(document: DocumentNode) -> int:
    """How many directives are written in a document."""
    return sum(len(node.directives or ()) for node in _directed(document))


class Limits:
    """Holds operations to the limits of the settings; counts each excess in `gateway_limit_exceeded_total`."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._enforced = settings.limits_mode is LimitsMode.ENFORCE
        self._log = structlog.get_logger()
        self._exceeded = Counter(
            "gateway_limit_exceeded",
            "Operations over a limit, refused or (mode warn) let through.",
            ["limit", "mode"],
            registry=registry,
        )

    def parse(self, text: str) -> tuple[DocumentNode, tuple[Excess, ...]]:
        """The document and, where limits only warn, its excess of tokens; LimitExceeded or GraphQLSyntaxError."""
        received, allowed = count_tokens(text), self._settings.max_tokens
        ceiling = allowed if self._enforced else allowed * WARN_FACTOR
        if received > ceiling:
            self._count("tokens", LimitsMode.ENFORCE)
            raise LimitExceeded("tokens", received, ceiling)
        try:
            document = parse(text, max_lexical_tokens=ceiling, max_comments=ceiling, allow_empty_selection_sets=False)
        except GraphQLError as error:
            raise GraphQLSyntaxError("the document does not parse", errors=[error]) from error
        return document, _over({"tokens": (received, allowed)})

    def check_document(self, document: DocumentNode) -> tuple[Excess, ...]:
        """Its excesses where limits only warn; otherwise LimitExceeded at the first."""
        return self._settle(_over({"directives": (count_directives(document), self._settings.max_directives)}))

    def check_operation(
        self, operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
    ) -> tuple[Excess, ...]:
        """Its excesses where limits only warn; otherwise LimitExceeded at the first."""
        extent, settings = extent_of(operation, fragments), self._settings
        counts = {
            "depth": (extent.depth, settings.max_depth),
            "introspection_depth": (extent.introspection, INTROSPECTION_DEPTH),
            "aliases": (extent.aliases, settings.max_aliases),
            "root_fields": (extent.roots, settings.max_root_fields),
        }
        return self._settle(_over(counts))

    def allow_cost(self, cost: int) -> bool:
        """Whether an operation may cost so much."""
        return cost <= self._settings.max_cost

    def check_cost(self, cost: int) -> None:
        """LimitExceeded when an operation costs too much; where limits only warn, it is noted."""
        if not self.allow_cost(cost):
            excess = Excess("cost", cost, self._settings.max_cost)
            self._settle((excess,))
            self.note((excess,))

    def note(self, over: tuple[Excess, ...]) -> None:
        """Count and log excesses that are let through, once for each request."""
        for excess in over:
            self._count(excess.limit, LimitsMode.WARN)
            self._log.warning("limit_exceeded", limit=excess.limit, received=excess.received, allowed=excess.allowed)

    def count_refusal(self, error: LimitExceeded) -> None:
        """Count a limit that was found exceeded elsewhere."""
        self._count(str(error.details["limit"]), LimitsMode.ENFORCE)

    def _settle(self, over: tuple[Excess, ...]) -> tuple[Excess, ...]:
        if over and self._enforced:
            self._count(over[0].limit, LimitsMode.ENFORCE)
            raise LimitExceeded(over[0].limit, over[0].received, over[0].allowed)
        return over

    def _count(self, limit: str, mode: LimitsMode) -> None:
        self._exceeded.labels(limit, mode.value).inc()


def _over(counts: Mapping[str, tuple[int, int]]) -> tuple[Excess, ...]:
    return tuple(
        Excess(limit, received, allowed) for limit, (received, allowed) in counts.items() if received > allowed
    )


def _extent(selection_set: SelectionSetNode, known: Mapping[str, Extent]) -> Extent:
    """`known` has the extents of all fragments that are spread in it, save those that close a cycle."""
    extent = Extent()
    stack = [(selection_set, 0, False)]
    while stack:
        current, depth, introspecting = stack.pop()
        for node in current.selections:
            below, hidden = _add(extent, node, depth, introspecting, known)
            nested = node.selection_set if isinstance(node, FieldNode | InlineFragmentNode) else None
            if nested:
                stack.append((nested, below, hidden))
    return extent


def _add(
    extent: Extent, node: SelectionNode, depth: int, introspecting: bool, known: Mapping[str, Extent]
) -> tuple[int, bool]:
    """Add one selection at `depth`; the depth of what is nested in it, and whether that is introspection."""
    if isinstance(node, FragmentSpreadNode):
        _add_spread(extent, known.get(node.name.value, Extent()), depth, introspecting)
    if not isinstance(node, FieldNode):
        return depth, introspecting
    extent.aliases = min(CEILING, extent.aliases + (node.alias is not None))
    if depth == 0 and not introspecting:
        extent.roots = min(CEILING, extent.roots + 1)
    if introspecting:
        extent.introspection = max(extent.introspection, depth + 1)
        return depth + 1, True
    extent.depth = max(extent.depth, depth + 1)
    return (0, True) if node.name.value in {"__schema", "__type"} else (depth + 1, False)


def _add_spread(extent: Extent, spread: Extent, depth: int, introspecting: bool) -> None:
    extent.aliases = min(CEILING, extent.aliases + spread.aliases)
    if depth == 0 and not introspecting:
        extent.roots = min(CEILING, extent.roots + spread.roots)
    if introspecting:
        extent.introspection = max(extent.introspection, depth + spread.depth)
    else:
        extent.depth = max(extent.depth, depth + spread.depth)
        extent.introspection = max(extent.introspection, spread.introspection)


def _directed(document: DocumentNode) -> Iterator[SelectionNode | Definition | VariableDefinitionNode]:
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            yield definition
            yield from definition.variable_definitions or ()
            yield from selections(definition)
