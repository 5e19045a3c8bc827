"""Which operation a request means: trusted documents, automatic persisted queries, and one cache of operations."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from cachetools import LRUCache
from graphql import DocumentNode, FragmentDefinitionNode, GraphQLSchema, OperationDefinitionNode, OperationType
from prometheus_client import CollectorRegistry, Counter

from gateway.errors import (
    BadRequest,
    GraphQLSyntaxError,
    LimitExceeded,
    PersistedQueryMismatch,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
    RequestError,
    StartRefused,
    UnknownOperation,
    UntrustedDocument,
)
from gateway.execution.cache_policy import answer_policy, cache_header
from gateway.execution.cost import CostPlan, compile_cost, wrong_list_sizes
from gateway.execution.limits import Excess, Limits, count_tokens
from gateway.execution.selections import Definition, fragments_of, selections, spread_order
from gateway.execution.validation import Validator
from gateway.manifest import TrustedDocument, document_hash, read_manifest
from gateway.settings import DocumentsMode, Settings
from resolvers.cache_control import CacheScope

TOKENS_A_PLACE = 200
"""A document takes one place in the cache for this many tokens begun: some 130 kB."""

CHARACTERS_A_PLACE = 16_384
"""Likewise for characters, since a single token may be of any length."""

_SHA256 = re.compile("[0-9a-f]{64}")
_NOBODY: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One request of GraphQL over HTTP, its members of the right JSON types and not looked into any further."""

    query: str | None
    operation_name: str | None = None
    variables: Mapping[str, object] | None = None
    extensions: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document that has passed validation, ready to be executed.

    `hash` is the document's SHA-256 in hex; `trusted` says whether it is in the manifest; `incremental` whether it has
    `@defer` or `@stream` anywhere; `cache_control` is the header's text for an answer without errors, and
    `shared_cache_control` that of one for a whole audience: None where there is something else than an audience's in
    it, or nothing of an audience. `over` is empty unless limits only warn.
    """

    hash: str
    document: DocumentNode
    definition: OperationDefinitionNode
    name: str | None
    kind: OperationType
    trusted: bool
    incremental: bool
    plan: CostPlan
    cache_control: str
    shared_cache_control: str | None
    over: tuple[Excess, ...]

    def cost(self, variables: Mapping[str, object] | None) -> int:
        """What it costs with these variables, which need not fit; 0 to `CEILING`."""
        return self.plan.cost(variables or _NOBODY)


@dataclass(frozen=True, slots=True)
class _Document:
    """A valid document and those of its operations that were asked for; None names the only one."""

    hash: str
    node: DocumentNode
    fragments: Mapping[str, FragmentDefinitionNode]
    trusted: bool
    places: int
    over: tuple[Excess, ...]
    operations: dict[str | None, Operation] = field(default_factory=dict)


class Documents:
    """Every request's way from what it sent to the operation it means; each refusal is a `RequestError`.

    Documents that are refused are not kept: finding fault again takes bounded time, and a sender of rubbish cannot push
    good ones out. Trusted documents stay for good, all others while they are used.
    """

    def __init__(self, schema: GraphQLSchema, settings: Settings, registry: CollectorRegistry) -> None:
        wrong = wrong_list_sizes(schema)
        if wrong:
            raise StartRefused(f"`@listSize` names arguments that do not exist: {', '.join(wrong)}")
        if settings.documents_mode is DocumentsMode.ONLY and settings.documents_manifest is None:
            raise StartRefused("GATEWAY_DOCUMENTS_MODE=only needs a manifest in GATEWAY_DOCUMENTS_MANIFEST")
        self._schema = schema
        self._settings = settings
        self._limits = Limits(settings, registry)
        self._validator = Validator(schema, introspection=settings.introspection)
        self._log = structlog.get_logger()
        self._trusted: dict[str, _Document] = {}
        self._kept: LRUCache[str, _Document] = LRUCache(settings.operation_cache_size, getsizeof=_places)
        lookups = Counter("gateway_documents", "Documents looked up.", ["result"], registry=registry)
        self._hits, self._misses = lookups.labels("hit"), lookups.labels("miss")
        self._untrusted = Counter(
            "gateway_untrusted_documents", "Requests whose document is not in the manifest.", registry=registry
        )

    def operation(self, request: GraphQLRequest) -> Operation:
        """The operation a request means, checked against every limit, its cost with the request's variables included.

        The variables themselves are not checked against their definitions here.
        """
        document = self._document(request)
        operation = document.operations.get(request.operation_name) or self._compile(document, request.operation_name)
        self._limits.check_cost(operation.cost(request.variables))
        if operation.over:
            self._limits.note(operation.over)
        return operation

    def at_hand(self, request: GraphQLRequest) -> Operation | None:
        """The operation of a request whose document is known and of which there is nothing to tell; not counted.

        None for all others: `operation` does what is to be done for them.
        """
        persisted = request.extensions.get("persistedQuery") if request.extensions else None
        if (persisted is None) is (request.query is None):
            return None
        try:
            key = _hash(request.query) if request.query is not None else _key(persisted)[0]
        except RequestError:
            return None
        document = self._trusted.get(key) or self._kept.get(key)
        if document is None or not (document.trusted or self._settings.documents_mode is DocumentsMode.OFF):
            return None
        operation = document.operations.get(request.operation_name)
        if operation is None or operation.over or not self._limits.allow_cost(operation.cost(request.variables)):
            return None
        return operation

    def found_again(self, times: int = 1) -> None:
        """Count operations that were found by the bytes of a request."""
        self._hits.inc(times)

    async def warm(self) -> int:
        """Read, parse and validate the manifest, and keep its documents; how many there are.

        StartRefused names the file, the operation and the reason when one of them could not be served.
        """
        path = self._settings.documents_manifest
        if path is None:
            return 0
        documents = await asyncio.to_thread(read_manifest, path)
        for each in documents:
            self.trust(each, str(path))
            await asyncio.sleep(0)  # others may want the loop while a long manifest is read
        return len(documents)

    def trust(self, each: TrustedDocument, origin: str) -> Operation:
        """Keep a document for good, under its id and its hash; StartRefused when it could not be served."""
        try:
            document = self._read(each.body, _hash(each.body), each.name, trusted=True)
            operation = document.operations.get(each.name) or self._compile(document, each.name)
        except RequestError as error:
            reasons = "; ".join(finding.message for finding in error.errors)
            raise StartRefused(f"{origin}: operation {each.name!r} is refused: {reasons}") from error
        if operation.kind.value != each.type:
            raise StartRefused(f"{origin}: operation {each.name!r} is a {operation.kind.value}, not a {each.type}")
        self._trusted[each.id] = self._trusted[document.hash] = document
        return operation

    def _document(self, request: GraphQLRequest) -> _Document:
        persisted = request.extensions.get("persistedQuery") if request.extensions else None
        if persisted is not None:
            return self._persisted(persisted, request)
        if request.query is None:
            raise BadRequest("the request has neither a `query` nor the hash of a persisted one")
        return self._written(request.query, _hash(request.query), request.operation_name)

    def _persisted(self, persisted: object, request: GraphQLRequest) -> _Document:
        key, is_hash = _key(persisted)
        known = self._known(key)
        text = request.query
        if text is None:
            return known or self._unknown(key, is_hash)
        digest = _hash(text)
        if is_hash and digest != key:
            raise PersistedQueryMismatch(f"the document's SHA-256 is {digest}, the request says {key}")
        if known and known.hash != digest:
            raise PersistedQueryMismatch(f"the document is not the one of id {key[:64]!r}")
        return known or self._written(text, digest, request.operation_name)

    def _unknown(self, key: str, is_hash: bool) -> _Document:
        if self._settings.documents_mode is DocumentsMode.ONLY:
            self._untrusted.inc()
            raise UntrustedDocument(f"no document {key[:64]!r} is in the manifest")
        if not is_hash:
            raise PersistedQueryNotFound(f"no document has the id {key[:64]!r}")
        if not self._settings.apq:
            raise PersistedQueryNotSupported("PersistedQueryNotSupported")
        raise PersistedQueryNotFound("PersistedQueryNotFound")  # some clients know it by these very words

    def _known(self, key: str) -> _Document | None:
        document = self._trusted.get(key)
        if document is None and self._settings.documents_mode is not DocumentsMode.ONLY:
            document = self._kept.get(key)
            if document is not None and self._settings.documents_mode is DocumentsMode.LOG:
                self._untrusted.inc()
        if document is not None:
            self._hits.inc()
        return document

    def _written(self, text: str, digest: str, name: str | None) -> _Document:
        document = self._known(digest)
        if document is not None:
            return document
        self._misses.inc()
        if self._settings.documents_mode is not DocumentsMode.OFF:
            self._untrusted.inc()
            self._log.warning("untrusted_document", hash=digest, mode=self._settings.documents_mode.value)
        if self._settings.documents_mode is DocumentsMode.ONLY:
            raise UntrustedDocument(f"the document with SHA-256 {digest} is not in the manifest")
        document = self._read(text, digest, name, trusted=False)
        if document.places <= self._kept.maxsize:
            self._kept[digest] = document
        return document

    def _read(self, text: str, digest: str, name: str | None, *, trusted: bool) -> _Document:
        """A document that has passed every check; limits first, since validation takes longer than counting."""
        node, over = self._limits.parse(text)
        over += self._limits.check_document(node)
        fragments = fragments_of(node)
        definition = _definition(node, name)
        if definition:
            self._limits.check_operation(definition, fragments)
        try:
            self._validator.check(node)
        except LimitExceeded as error:
            self._limits.count_refusal(error)
            raise
        places = 1 + count_tokens(text) // TOKENS_A_PLACE + len(text) // CHARACTERS_A_PLACE
        document = _Document(digest, node, fragments, trusted, places, over)
        self._compile(document, name)
        return document

    def _compile(self, document: _Document, name: str | None) -> Operation:
        definition = _definition(document.node, name)
        if definition is None:
            raise UnknownOperation(_missing(document.node, name))
        used: tuple[Definition, ...] = (definition, *spread_order(definition, document.fragments))
        policy = answer_policy(self._schema, definition, document.fragments)
        shareable = policy is not None and policy.scope is CacheScope.SEGMENT
        operation = Operation(
            hash=document.hash,
            document=document.node,
            definition=definition,
            name=definition.name.value if definition.name else None,
            kind=definition.operation,
            trusted=document.trusted,
            incremental=any(map(_is_incremental, used)),
            plan=compile_cost(self._schema, definition, document.fragments),
            cache_control=cache_header(policy),
            shared_cache_control=cache_header(policy, shared=True) if shareable else None,
            over=document.over + self._limits.check_operation(definition, document.fragments),
        )
        document.operations[name] = document.operations[operation.name] = operation
        return operation


def _operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]


def _definition(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    """The operation of that name, or the only one when none is named."""
    operations = _operations(document)
    if name is None:
        return operations[0] if len(operations) == 1 else None
    return next((each for each in operations if each.name is not None and each.name.value == name), None)


def _missing(document: DocumentNode, name: str | None) -> str:
    if name is not None:
        return f"the document has no operation named {name[:64]!r}"
    return f"the document has {len(_operations(document))} operations; `operationName` must name one"


def _is_incremental(definition: Definition) -> bool:
    return any(
        directive.name.value in {"defer", "stream"}
        for node in selections(definition)
        for directive in node.directives or ()
    )


def _hash(text: str) -> str:
    try:
        return document_hash(text)
    except UnicodeEncodeError as error:
        raise GraphQLSyntaxError("the document holds half a character (a lone surrogate)") from error


def _key(persisted: object) -> tuple[str, bool]:
    """What a request calls its document, and whether that is a hash; BadRequest when it cannot be told."""
    if not isinstance(persisted, Mapping):
        raise BadRequest("`extensions.persistedQuery` must be an object")
    id_ = persisted.get("id", persisted.get("documentId"))
    if isinstance(id_, str) and id_:
        return id_, False
    if persisted.get("version") != 1:
        raise PersistedQueryNotSupported("`extensions.persistedQuery.version` must be 1")
    digest = persisted.get("sha256Hash")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest.lower()):
        raise BadRequest("`extensions.persistedQuery.sha256Hash` must be 64 hexadecimal digits")
    return digest.lower(), True


def _places(document: _Document) -> int:
    return document.places
