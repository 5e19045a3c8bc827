"""What an expression of JSONLogic is: a literal, a list, or one operator with its operands."""

from typing import Any


def is_literal(logic: object) -> bool:
    """Whether an expression has the same value for everyone."""
    if isinstance(logic, list):
        return all(is_literal(item) for item in logic)
    return not isinstance(logic, dict) or len(logic) != 1


def operation(logic: object) -> tuple[str, list[Any]] | None:
    """The operator of an expression and its operands; None when it is a literal or a list."""
    if not isinstance(logic, dict) or len(logic) != 1:
        return None
    name, operands = next(iter(logic.items()))
    return name, operands if isinstance(operands, list) else [operands]
