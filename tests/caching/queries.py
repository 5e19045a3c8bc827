"""Queries over the real schema, drawn by chance: aliases, fragments, conditions, variables, arguments good and bad."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_leaf_type,
)

DEPTH = 4


@dataclass(frozen=True, slots=True)
class Pools:
    """What arguments are drawn from."""

    products: Sequence[str]
    categories: Sequence[str]
    customers: Sequence[str]


@dataclass(slots=True)
class Drawn:
    """A query in the making."""

    chance: Random
    variables: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, str] = field(default_factory=dict)
    fragments: dict[str, str] = field(default_factory=dict)
    aliases: int = 0


class Queries:
    """Draws queries; the same seed gives the same ones."""

    def __init__(self, schema: GraphQLSchema, pools: Pools) -> None:
        assert schema.query_type is not None
        self._schema = schema
        self._query = schema.query_type
        self._pools = pools

    def draw(self, seed: int) -> tuple[str, dict[str, Any]]:
        """A document and its variables."""
        drawn = Drawn(Random(seed))
        selections = [self._field(drawn, self._query, self._root(drawn), 0) for _ in range(drawn.chance.randint(1, 4))]
        variables = ", ".join(f"${name}: {type_}" for name, type_ in drawn.declared.items())
        head = f"query Drawn({variables})" if variables else "query Drawn"
        return "\n".join([f"{head} {{ {' '.join(selections)} }}", *drawn.fragments.values()]), drawn.variables

    def _root(self, drawn: Drawn) -> str:
        weights = {"recommendations": 4, "components": 4, "catalog": 4, "products": 3, "product": 3}
        names = list(self._query.fields)
        drawn_name: str = drawn.chance.choices(names, [weights.get(name, 1) for name in names])[0]
        return drawn_name

    def _field(self, drawn: Drawn, parent: GraphQLObjectType, name: str, depth: int) -> str:
        definition = parent.fields[name]
        drawn.aliases += 1
        alias = f"a{drawn.aliases}: "
        arguments = self._arguments(drawn, definition)
        condition = self._condition(drawn)
        type_ = get_named_type(definition.type)
        below = f" {self._selection(drawn, type_, depth + 1)}" if isinstance(type_, GraphQLObjectType) else ""
        return f"{alias}{name}{arguments}{condition}{below}"

    def _selection(self, drawn: Drawn, type_: GraphQLObjectType, depth: int) -> str:
        chance = drawn.chance
        names = [
            name
            for name, definition in type_.fields.items()
            if depth < DEPTH or is_leaf_type(get_named_type(definition.type))
        ]
        chosen = chance.sample(names, min(len(names), chance.randint(1, 4))) if names else []
        fields = [self._field(drawn, type_, name, depth) for name in chosen]
        if chance.random() < 0.2 or not fields:
            fields.append("__typename")
        return self._wrapped(drawn, type_, fields)

    def _wrapped(self, drawn: Drawn, type_: GraphQLObjectType, fields: list[str]) -> str:
        text, chance = " ".join(fields), drawn.chance
        kind = chance.random()
        if kind < 0.15:
            name = f"F{len(drawn.fragments)}"
            drawn.fragments[name] = f"fragment {name} on {type_.name} {{ {text} }}"
            return f"{{ ...{name}{self._condition(drawn)} __typename }}"
        if kind < 0.3:
            return f"{{ __typename ... on {type_.name}{self._condition(drawn)} {{ {text} }} }}"
        return f"{{ {text} }}"

    def _condition(self, drawn: Drawn) -> str:
        chance = drawn.chance
        if chance.random() < 0.85:
            return ""
        value = chance.choice([True, False])
        if chance.random() < 0.5:
            return f" @{chance.choice(['skip', 'include'])}(if: {str(value).lower()})"
        name = self._variable(drawn, "Boolean!", value)
        return f" @{chance.choice(['skip', 'include'])}(if: ${name})"

    def _variable(self, drawn: Drawn, type_: str, value: Any) -> str:
        name = f"v{len(drawn.declared)}"
        drawn.declared[name] = type_
        drawn.variables[name] = value
        return name

    def _arguments(self, drawn: Drawn, definition: GraphQLField) -> str:
        texts = []
        for name, argument in definition.args.items():
            required = isinstance(argument.type, GraphQLNonNull) and not argument.default
            if not required and drawn.chance.random() < 0.4:
                continue
            value = self._value(drawn, name, argument.type)
            texts.append(f"{name}: ${self._variable(drawn, str(argument.type), value)}" if value is not None else "")
        texts = [text for text in texts if text]
        return f"({', '.join(texts)})" if texts else ""

    def _value(self, drawn: Drawn, name: str, type_: Any) -> Any:
        chance, pools, named = drawn.chance, self._pools, get_named_type(type_)
        if isinstance(named, GraphQLEnumType):
            return chance.choice(list(named.values))
        if name == "context":
            return self._context(chance)
        if name == "first":
            return 0 if chance.random() < 0.03 else chance.choice([1, 2, 3, 5])
        if name == "category":
            return "unknown" if chance.random() < 0.05 else chance.choice(pools.categories)
        lists = {"ids": [*pools.products, "unknown"], "names": ["hero", "search", "coupons", "unknown"]}
        if name in lists:
            return chance.choices(lists[name], k=chance.randint(0, 4))
        words: dict[str, list[str | None]] = {
            "id": [*pools.products[:3], *pools.categories[:2], "unknown"],
            "search": ["soap", "tooth paste", "nothing like it"],
            "page": ["home", "category", "nowhere"],
            "after": [None, None, "not-a-cursor"],
        }
        return chance.choice(words[name])

    def _context(self, chance: Random) -> dict[str, Any]:
        members: dict[str, list[Any]] = {
            "region": ["US-NE", "US-NE", "US-S", "US-S", "AU-NSW", "not a region"],
            "category": [*self._pools.categories[:6], "unknown"],
            "season": ["SUMMER", "WINTER"],
            "device": ["PHONE", "DESKTOP"],
            "persona": ["VISITOR", "VISITOR", "VISITOR", "BUILDER"],
            "customerId": list(self._pools.customers),
            "supports": [[{"name": "hero", "version": "v1"}], []],
        }
        weights = {"region": 0.6, "customerId": 0.1, "persona": 0.1}
        return {
            name: chance.choice(values) for name, values in members.items() if chance.random() < weights.get(name, 0.3)
        }
