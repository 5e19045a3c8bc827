"""The manifest of trusted documents: Apollo's persisted query manifest, version 1, as a file."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    parse,
    print_ast,
)

from gateway.errors import StartRefused
from gateway.execution.selections import fragments_of, spread_order

FORMAT = "apollo-persisted-query-manifest"
VERSION = 1
_TYPES = frozenset({"query", "mutation", "subscription"})


@dataclass(frozen=True, slots=True)
class TrustedDocument:
    """One operation with its fragments, that clients may send by `id` or word for word. `type` is `query`, …"""

    id: str
    name: str
    type: str
    body: str


def document_hash(text: str) -> str:
    """The SHA-256 of a document's text in UTF-8, in hex; UnicodeEncodeError where it holds half a character."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(path: Path) -> tuple[TrustedDocument, ...]:
    """The manifest's documents; StartRefused with the file, the operation and the reason when it is broken."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as error:
        raise StartRefused(f"manifest {path} cannot be read: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise StartRefused(f"manifest {path} is not JSON: {error}") from error
    form = (content.get("format"), content.get("version")) if isinstance(content, dict) else None
    if form != (FORMAT, VERSION):
        raise StartRefused(f"manifest {path} must have format {FORMAT!r} and version {VERSION}, it has {form}")
    operations = content.get("operations")
    if not isinstance(operations, list):
        raise StartRefused(f"manifest {path} has no list of operations")
    documents = tuple(_document(path, number, operation) for number, operation in enumerate(operations))
    _refuse_doubles(path, documents)
    return documents


def write_manifest(path: Path, documents: Iterable[TrustedDocument]) -> None:
    """Replace the file whole; operations in the order of their names, so that changes read well."""
    operations = [
        {"id": each.id, "name": each.name, "type": each.type, "body": each.body}
        for each in sorted(documents, key=lambda each: (each.name, each.id))
    ]
    content = {"format": FORMAT, "version": VERSION, "operations": operations}
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    temporary.replace(path)


def trusted_documents(files: Sequence[Path]) -> tuple[TrustedDocument, ...]:
    """Every operation of GraphQL files as a trusted document, with the fragments it needs from any of them.

    A file that holds one operation and all its fragments becomes a document word for word, so that a client may send it
    as it is. StartRefused names the file and the reason when one cannot be read, an operation has no name, or two
    operations or two fragments that differ have one name.
    """
    texts = {path: _read(path) for path in files}
    parsed = {path: _parse(path, text) for path, text in texts.items()}
    fragments: dict[str, FragmentDefinitionNode] = {}
    for path, document in parsed.items():
        for name, fragment in fragments_of(document).items():
            if print_ast(fragments.setdefault(name, fragment)) != print_ast(fragment):
                raise StartRefused(f"{path} has another fragment {name!r} than a file before it")
    documents = tuple(
        _trusted(path, operation, texts[path], document, fragments)
        for path, document in parsed.items()
        for operation in document.definitions
        if isinstance(operation, OperationDefinitionNode)
    )
    for name, count in Counter(document.name for document in documents).items():
        if count > 1:
            raise StartRefused(f"{count} operations are named {name!r}")
    return documents


def _trusted(
    path: Path,
    operation: OperationDefinitionNode,
    text: str,
    document: DocumentNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> TrustedDocument:
    if operation.name is None:
        raise StartRefused(f"{path} has an operation without a name")
    used = spread_order(operation, fragments)
    whole = {id(operation), *map(id, used)} == {id(definition) for definition in document.definitions}
    body = text if whole else "\n\n".join(print_ast(node) for node in (operation, *used))
    return TrustedDocument(document_hash(body), operation.name.value, operation.operation.value, body)


def _document(path: Path, number: int, operation: object) -> TrustedDocument:
    if not isinstance(operation, dict):
        raise StartRefused(f"manifest {path}: operation {number} is not an object")
    id_, name, type_, body = (_member(path, number, operation, member) for member in ("id", "name", "type", "body"))
    if type_ not in _TYPES:
        raise StartRefused(f"manifest {path}: operation {name!r} has the unknown type {type_!r}")
    return TrustedDocument(id_, name, type_, body)


def _member(path: Path, number: int, operation: Mapping[str, object], member: str) -> str:
    value = operation.get(member)
    if isinstance(value, str) and value:
        return value
    raise StartRefused(f"manifest {path}: operation {operation.get('name') or number!r} has no {member}")


def _refuse_doubles(path: Path, documents: Sequence[TrustedDocument]) -> None:
    seen: dict[str, TrustedDocument] = {}
    for document in documents:
        other = seen.setdefault(document.id, document)
        if other is not document:
            raise StartRefused(
                f"manifest {path}: operations {other.name!r} and {document.name!r} have one id, {document.id!r}"
            )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise StartRefused(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StartRefused(f"{path} is not UTF-8") from error


def _parse(path: Path, text: str) -> DocumentNode:
    try:
        return parse(text)
    except GraphQLError as error:
        raise StartRefused(f"{path} does not parse: {error.message}") from error
