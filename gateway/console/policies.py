"""The models of the registry for charts, and the changes that operators may make: promote and roll back."""

from pathlib import Path
from typing import Any, Final

from gateway.errors import BadRequest
from personalization.clock import Clock
from personalization.registry import REGISTRY_FOLDER, ListedModel, ModelRegistry
from personalization.registry_records import Promotion, label_of

MOST_VERSIONS: Final = 60
BY: Final = "gateway console"
SEGMENTS: Final = "segment"
"""The model of the closings, which is not loaded here: that takes a library."""

_LONGEST_REASON: Final = 300


class Policies:
    """Lists the newest versions of each model, and makes others live. Everything here blocks."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._registry = ModelRegistry(data_dir / REGISTRY_FOLDER, clock)

    def all(self) -> dict[str, object]:
        """The models by name: the live version, and what is known of the newest 60.

        Raises:
            RegistryUnavailable, ModelDamaged: the registry cannot be read.
        """
        return {"models": [self._model(name) for name in self._registry.names()]}

    def roll_back(self, name: str, because: str, who: str, to: int | None) -> Promotion:
        """Make the version live again that the live one replaced, or version `to`.

        Raises:
            UnknownModel, NotPromotable: there is none to go back to.
        """
        if name == SEGMENTS:
            from personalization.classification.deploy import Closings  # with the profiles that the version scored

            return Closings(self._data_dir, self._registry, self._clock).rollback(f"{because} ({BY}, {who})", to=to)
        return self._registry.rollback(name, {"because": because, "by": f"{BY}, {who}"}, to=to)

    def promote(self, name: str, version: int, because: str, who: str) -> Promotion:
        """Make a version of a bandit live, once its checksum and its canaries fit.

        Raises:
            UnknownModel, NotPromotable, ModelDamaged: it may not be.
        """
        from personalization.assembly import load_policy
        from personalization.bandit.canaries import check_canaries

        if name == SEGMENTS:
            raise BadRequest("a classifier is deployed by its closing; here it can only be rolled back")
        stored = self._registry.load(name, version)
        check_canaries(load_policy(stored), stored.manifest.canaries)
        return self._registry.promote(name, version, {"because": because, "by": f"{BY}, {who}"})

    def _model(self, name: str) -> dict[str, object]:
        listing = self._registry.listing(name)
        promotions = sorted((each for listed in listing for each in listed.promotions), key=lambda one: one.revision)
        live = next((each for each in reversed(promotions)), None)
        return {
            "name": name,
            "live": self._registry.pointer(name).live,
            "graduated": self._registry.pointer(name).graduated,
            "replaces": None if live is None else live.replaces,
            "versions": [_version(each) for each in listing[-MOST_VERSIONS:]],
            "promotions": [_promotion(each) for each in promotions[-MOST_VERSIONS:]],
        }


def asked_change(body: object) -> tuple[str, int | None, str]:
    """Name, version and reason of an asked for change; BadRequest when it is none."""
    if not isinstance(body, dict):
        raise BadRequest("the body must be an object with `model`, `version` and `because`")
    name, version, because = body.get("model"), body.get("version"), body.get("because")
    if not isinstance(name, str) or not (version is None or (type(version) is int and version > 0)):
        raise BadRequest("`model` is a text, `version` a whole number from 1 on, or null")
    if not isinstance(because, str) or not 0 < len(because.strip()) <= _LONGEST_REASON:
        raise BadRequest(f"`because` must say why, in 1 to {_LONGEST_REASON} characters")
    return name, version, because.strip()


def told_change(name: str, promotion: Promotion) -> dict[str, object]:
    """What was done, as an answer."""
    before = None if promotion.replaces is None else label_of(name, promotion.replaces)
    return {"live": label_of(name, promotion.version), "replaced": before, "revision": promotion.revision}


def _version(listed: ListedModel) -> dict[str, Any]:
    manifest = listed.manifest
    return {
        "version": manifest.version,
        "label": manifest.label,
        "state": listed.state.value,
        "created": int(manifest.created.timestamp() * 1000),
        "parents": manifest.parents,
        "events": None if manifest.data is None else manifest.data.events,
        "size": manifest.size,
        "sha256": manifest.sha256[:12],
        "metrics": dict(manifest.metrics),
        "evidence": dict(manifest.evidence),
    }


def _promotion(each: Promotion) -> dict[str, Any]:
    return {
        "revision": each.revision,
        "version": each.version,
        "replaces": each.replaces,
        "change": each.change.value,
        "at": int(each.at.timestamp() * 1000),
        "because": str(each.evidence.get("because", "")),
        "by": str(each.evidence.get("by", "")),
    }
