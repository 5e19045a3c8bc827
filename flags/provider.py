"""The OpenFeature provider over the flags in use, so that Python code asks flags the standard way."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, TypeVar
from uuid import uuid4

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.provider.no_op_provider import NoOpProvider

from flags.evaluation import Evaluation, FlagSet
from flags.live import Flags
from flags.metrics import FlagMetrics
from flags.subject import Subject

NAME = "persona-gateway"
DECIDED_BY = "decidedBy"
DEFINITIONS = "definitions"

T = TypeVar("T")


class FlagsProvider(AbstractProvider):
    """Answers from one snapshot; also its asynchronous methods, which never wait.

    The flag metadata of an answer says who decided (`decidedBy`) and over which version of the definitions
    (`definitions`). A value of another type than asked for is answered with the caller's default and
    `TYPE_MISMATCH`, here and not in the SDK, whose asynchronous client would hand out the value.
    """

    def __init__(self, snapshot: Callable[[], FlagSet], metrics: FlagMetrics | None = None) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._metrics = metrics

    def get_metadata(self) -> Metadata:
        return Metadata(name=NAME)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        return self._resolve(flag_key, default_value, evaluation_context, _as_boolean)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        return self._resolve(flag_key, default_value, evaluation_context, _as_string)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        return self._resolve(flag_key, default_value, evaluation_context, _as_integer)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        return self._resolve(flag_key, default_value, evaluation_context, _as_float)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return self._resolve(flag_key, default_value, evaluation_context, _as_object)

    def announce(self, changed: FlagSet) -> None:
        """Tell the SDK's handlers that the definitions changed."""
        self.emit_provider_configuration_changed(ProviderEventDetails(metadata={DEFINITIONS: changed.version}))

    def _resolve(
        self, key: str, default: T, context: EvaluationContext | None, cast: Callable[[Any], T | None]
    ) -> FlagResolutionDetails[T]:
        evaluation = self._snapshot().evaluate(key, subject_of(context))
        if self._metrics is not None:
            self._metrics.evaluated_one(evaluation)
        if evaluation.value is None:
            return _details(evaluation, default)
        value = cast(evaluation.value)
        if value is not None:
            return _details(evaluation, value)
        received = type(evaluation.value).__name__
        return FlagResolutionDetails(
            value=default,
            reason=Reason.ERROR,
            error_code=ErrorCode.TYPE_MISMATCH,
            error_message=f"the values of this flag are of type {received}",
            flag_metadata=_metadata(evaluation),
        )


@contextmanager
def openfeature_client(flags: Flags, domain: str | None = None) -> Iterator[OpenFeatureClient]:
    """An OpenFeature client of these flags, under a domain of its own for as long as the block lasts.

    The SDK keeps providers in one global registry. A fresh domain for each use keeps apps in one process apart;
    nothing else of the SDK's global state is touched.
    """
    name = domain or f"{NAME}-{uuid4()}"
    provider = FlagsProvider(lambda: flags.snapshot, flags.metrics)
    api.set_provider_and_wait(provider, name)
    unsubscribe = flags.subscribe(provider.announce)
    try:
        yield api.get_client(name)
    finally:
        unsubscribe()
        api.set_provider_and_wait(NoOpProvider(), name)


def subject_of(context: EvaluationContext | None) -> Subject:
    """The subject that an OpenFeature context describes; rules see nested and listed attributes as they are."""
    if context is None:
        return Subject()
    attributes: Mapping[str, Any] = context.attributes
    return Subject(context.targeting_key, attributes)


def _details(evaluation: Evaluation, value: T) -> FlagResolutionDetails[T]:
    return FlagResolutionDetails(
        value=value,
        variant=evaluation.variant,
        reason=evaluation.reason,
        error_code=evaluation.error_code,
        error_message=evaluation.error_message,
        flag_metadata=_metadata(evaluation),
    )


def _metadata(evaluation: Evaluation) -> Mapping[str, bool | int | float | str]:
    return {**evaluation.metadata, DECIDED_BY: evaluation.decided_by.value, DEFINITIONS: evaluation.definitions}


def _as_boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _as_string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _as_integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _as_object(value: Any) -> Sequence[FlagValueType] | Mapping[str, FlagValueType] | None:
    return deepcopy(value) if isinstance(value, dict) else None
