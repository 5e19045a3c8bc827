"""What a person types into a search box, made into a query that the full-text index can only take as words."""

import re
import unicodedata
from collections.abc import Sequence

MAX_TEXT = 1000
MAX_WORDS = 8
MAX_WORD = 32
MAX_EXPANSIONS = 16

_APOSTROPHES = dict.fromkeys(map(ord, "'\u2018\u2019\u02bc"))
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> tuple[str, ...]:
    """The words of the text in order: lower case, without accents and apostrophes, each once, of any script."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_APOSTROPHES))
    unmarked = "".join(char for char in plain if not unicodedata.combining(char))
    return tuple(dict.fromkeys(word[:MAX_WORD] for word in _WORD.findall(unmarked)))


def asked(text: str) -> tuple[str, ...]:
    """The words of a search that count: the first eight of the first thousand characters; none for punctuation only."""
    return words(text[:MAX_TEXT])[:MAX_WORDS]


def within(category_key: int) -> str:
    """The token that stands in `place` of every product of the category."""
    return f"c{category_key}"


def everywhere(expansions: Sequence[Sequence[str]], category_key: int) -> str:
    """Finds products in which, for each word asked, at least one of its expansions occurs, within the category.

    Every part is a quoted term in a named column, so nothing typed can be syntax.
    """
    parts = [f"({{name more}} : ({' OR '.join(map(_quoted, terms))}))" for terms in expansions]
    if category_key:
        parts.append(f"(place : {_quoted(within(category_key))})")
    return " AND ".join(parts)


def named(asked_words: Sequence[str], category_key: int) -> str:
    """Finds products whose name has every word asked as a whole word, within the category."""
    parts = [f"(name : {_quoted(word)})" for word in asked_words]
    if category_key:
        parts.append(f"(place : {_quoted(within(category_key))})")
    return " AND ".join(parts)


def _quoted(word: str) -> str:
    return f'"{word}"'
