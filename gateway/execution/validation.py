"""Whether a document fits the schema, found out in bounded time."""

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OverlappingFieldsCanBeMergedRule,
    SelectionSetNode,
    ValidationContext,
    specified_rules,
    validate,
)
from graphql.language.parser import MAX_NESTING_DEPTH
from graphql.validation.validate import ValidationAbortedError
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from gateway.errors import GraphQLValidationFailed, IntrospectionDisabled, LimitExceeded

MAX_ERRORS = 20
MAX_MESSAGE = 500
MAX_COMPARISONS = 40_000
"""Most units of work for comparing fields of one response name: some 50 ms; 2,000 tokens can ask for a second."""


class BoundedOverlap(OverlappingFieldsCanBeMergedRule):
    """The rule that grows with the square of a document, held to `MAX_COMPARISONS`."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = MAX_COMPARISONS

    def enter_selection_set(self, selection_set: SelectionSetNode, key: object, parent: object, *args: object) -> None:
        """Compare the fields selected in one place; LimitExceeded when the work allowed is used up."""
        try:
            super().enter_selection_set(selection_set, key, parent, *args)
        except ValidationAbortedError as error:
            received = MAX_COMPARISONS - self.rule_context.remaining_complexity_budget
            if received > MAX_COMPARISONS:
                raise LimitExceeded("field_comparisons", received, MAX_COMPARISONS) from error
            raise


class Validator:
    """Holds documents to one schema. Without `introspection` it refuses questions about it, and suggests no names."""

    def __init__(self, schema: GraphQLSchema, *, introspection: bool) -> None:
        self._schema = schema
        self._introspection = introspection
        self._rules = [BoundedOverlap if rule is OverlappingFieldsCanBeMergedRule else rule for rule in specified_rules]
        self._rules += [MaybeNullValidationRule, OneOfInputValidationRule]

    def check(self, document: DocumentNode) -> None:
        """Nothing when it fits; otherwise GraphQLValidationFailed, IntrospectionDisabled or LimitExceeded."""
        if not self._introspection:
            refused = validate(self._schema, document, [NoSchemaIntrospectionCustomRule], max_errors=1)
            if refused:
                raise IntrospectionDisabled("introspection is switched off", errors=[_clear(refused[0])])
        errors = validate(
            self._schema, document, self._rules, max_errors=MAX_ERRORS, hide_suggestions=not self._introspection
        )
        if errors:
            raise GraphQLValidationFailed("the document does not fit the schema", errors=[_clear(e) for e in errors])


def _clear(error: GraphQLError) -> GraphQLError:
    """The same finding, of bounded length; names are the client's and may be of any length."""
    message = error.message
    if message == "Validation aborted.":
        message = f"The document's fragments nest selections more than {MAX_NESTING_DEPTH} deep."
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]}…"
    return GraphQLError(message, error.nodes)
