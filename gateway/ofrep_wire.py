"""What OFREP answers look like, and when two of them are the same.

After version 0.3.0 of the protocol; `docs/ofrep.openapi.yaml` has it written down.
"""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import orjson
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from flags.bandit_layer import STICKY
from flags.evaluation import Decider
from flags.layers import Answer
from flags.provider import DECIDED_BY, DEFINITIONS
from flags.subject import Subject

POLICY = "policy"
EXPOSURE = "exposureId"
EVENTS_PATH = "/ofrep/v1/events"
FALLBACK: Mapping[str, object] = MappingProxyType({"mode": "FALLBACK"})

_REASONS = frozenset(
    {Reason.STATIC, Reason.TARGETING_MATCH, Reason.SPLIT, Reason.DISABLED, Reason.DEFAULT, Reason.CACHED}
)
# Layers whose answer hangs on chance, whatever word they have for it.
_BY_CHANCE = frozenset({Decider.HOLDBACK, Decider.EXPERIMENT, Decider.BANDIT})
_ERROR_CODES = frozenset({ErrorCode.PARSE_ERROR, ErrorCode.TARGETING_KEY_MISSING, ErrorCode.INVALID_CONTEXT})


def failed(answer: Answer) -> bool:
    """Whether the flag has no answer, not even the caller's own default."""
    return answer.evaluation.error_code is not None or answer.evaluation.reason == Reason.ERROR


def told(answer: Answer, note: Mapping[str, object]) -> dict[str, object]:
    """One flag, as single answers and the `flags` of bulk ones have it; `note` is added to its metadata.

    Without a value the client takes its own default (ADR 0006 of the protocol). `variant` is empty then and not left
    out, as flagd does it, because the Python client insists on having it.
    """
    evaluation = answer.evaluation
    metadata = {**_metadata(answer), **note}
    if failed(answer):
        code, details = evaluation.error_code or ErrorCode.GENERAL, evaluation.error_message
        return {
            "key": evaluation.key,
            "errorCode": _error_code(code),
            "errorDetails": details or "the flag could not be evaluated",
            "metadata": metadata,
        }
    value = {} if evaluation.value is None else {"value": evaluation.value}
    return {
        "key": evaluation.key,
        "reason": reason(answer),
        "variant": evaluation.variant or "",
        **value,
        "metadata": metadata,
    }


def reason(answer: Answer) -> str:
    """Who decided, in the few words that OFREP has for it; `decidedBy` in the metadata tells the layer itself."""
    evaluation = answer.evaluation
    if evaluation.decided_by in _BY_CHANCE:
        return Reason.SPLIT.value
    if evaluation.decided_by is Decider.KILL_SWITCH:
        return Reason.DISABLED.value
    if evaluation.decided_by is Decider.OVERRIDE:
        return Reason.TARGETING_MATCH.value
    return evaluation.reason.value if evaluation.reason in _REASONS else Reason.UNKNOWN.value


def bulk(
    flags: Sequence[Mapping[str, object]], definitions: str, policy: str, note: Mapping[str, object], inactivity_s: int
) -> bytes:
    """The body of a bulk answer, with the stream on which its changes are told.

    The address names the state of the answer: what changes before the stream is open is told as soon as it is. It has
    no host, so that clients go where they already are.
    """
    address = f"{EVENTS_PATH}?since={state_of(definitions)}"
    return orjson.dumps(
        {
            "flags": flags,
            "eventStreams": [{"type": "sse", "endpoint": {"requestUri": address}, "inactivityDelaySec": inactivity_s}],
            "metadata": {DEFINITIONS: definitions, POLICY: policy, **note},
        }
    )


def state_of(definitions: str) -> str:
    """What notices are about, in 32 hex digits: equal in every process that has the same definitions.

    Not the policy: one that learns is another every few seconds, and what was decided for a session stays.
    """
    return _digest(definitions)


def etag_of(subject: Subject, definitions: str, policy: str, flags: Sequence[Mapping[str, object]]) -> str:
    """The entity tag of a bulk answer: whom it is for, what it stands on, and what it says of each flag.

    It is a weak one, as it leaves out the ids of exposures: they change every half hour, and old ones stay good.
    """
    attributes = sorted(subject.attributes.items())
    lasting = [{**flag, "metadata": _without_exposure(flag["metadata"])} for flag in flags]
    return f'W/"{_digest(subject.targeting_key, attributes, definitions, policy, lasting)}"'


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names the tag; with or without quotes, for there are clients that take them off."""
    named = (each.strip().removeprefix("W/").strip('"') for each in (if_none_match or "").split(","))
    return etag.removeprefix("W/").strip('"') in named


def _metadata(answer: Answer) -> dict[str, object]:
    evaluation, decision = answer.evaluation, answer.decision
    known: dict[str, object | None] = {
        **evaluation.metadata,
        DECIDED_BY: evaluation.decided_by.value,
        # That a decision is kept is no news to clients that keep it, and would make the second answer another one.
        "why": None if answer.why == STICKY else answer.why,
        EXPOSURE: answer.exposure_id,
    }
    if decision is not None:
        known |= {"decisionId": decision.id, "probability": decision.probability, POLICY: decision.policy}
    return {name: value for name, value in known.items() if value is not None}


def _without_exposure(metadata: object) -> object:
    return {**metadata, EXPOSURE: None} if isinstance(metadata, dict) else metadata


def _error_code(code: ErrorCode) -> str:
    if code is ErrorCode.FLAG_NOT_FOUND or code in _ERROR_CODES:
        return code.value
    return ErrorCode.GENERAL.value


def _digest(*parts: object) -> str:
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
