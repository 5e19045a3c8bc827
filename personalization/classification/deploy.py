"""Runs a closing: freeze, train, judge, score, deploy. One auditable run that may die anywhere and be run again.

    closings/lock                        held while a closing runs
    closings/2017-10/…                   what it froze; see dataset.py
    closings/2017-10/closing.json        what came of it; a closing that has this is over
    profiles/segment@7                   the segments of all customers, by the model of this label

What is live is what the registry's one pointer says. The profile store of a model is there before the pointer moves to
it, so whoever follows the pointer has both or neither.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from personalization.classification.dataset import (
    LOOK_BACK,
    ClosingSource,
    Dataset,
    Frozen,
    Period,
    build_dataset,
    decode_frozen,
    encode_dataset,
    encode_frozen,
)
from personalization.classification.errors import ClosingBusy, ClosingDamaged, ClosingRefused, UnknownClosing
from personalization.classification.profiles import Profiles, decode_profiles
from personalization.clock import Clock
from personalization.errors import NotPromotable
from personalization.file_lock import alone
from personalization.files import write_whole
from personalization.registry import ModelRegistry
from personalization.registry_records import DataRange, Json, Manifest, ModelState, Promotion, label_of

SEGMENT_MODEL = "segment"
CLOSINGS_FOLDER = "closings"
PROFILES_FOLDER = "profiles"
BY = "gateway closing"

Step = Callable[[str], None]
"""Told before each step what it is: `freeze`, `data set`, `train`, `store`, `score`, `promote`, `record`."""


@dataclass(frozen=True, slots=True)
class Closed:
    """What came of a closing. `refusal` says which gates refused the model, and by how much; None: it was deployed.

    `remarks` say what was odd in the data.
    """

    period: str
    at: datetime
    model: str
    deployed: bool
    refusal: str | None
    replaced: str | None
    scored_by: str | None
    customers: int
    rows: Mapping[str, int]
    macro_f1: float
    dataset_sha256: str
    schema_hash: str
    evidence: Mapping[str, Json]
    remarks: tuple[str, ...] = ()


class Closings:
    """The closings of a data folder. Everything here waits for the disk, and a run for training.

    Raises:
        PersonaError: what is told of each method, or the registry cannot be used.
    """

    def __init__(self, folder: Path, registry: ModelRegistry, clock: Clock, step: Step | None = None) -> None:
        self._folder = folder / CLOSINGS_FOLDER
        self._profiles = folder / PROFILES_FOLDER
        self._registry = registry
        self._clock = clock
        self._step = step or (lambda _doing: None)

    def run(self, period: Period, source: ClosingSource, *, accepted_schema: str | None = None) -> Closed:
        """Run a closing, or go on with one that was begun; one that is over is told again, and changes nothing.

        Raises:
            ClosingRefused: the period is not over, or what there is of it cannot be learned from.
            ClosingBusy: another process runs one.
            ClosingDamaged: what was frozen is not what was written.
        """
        now = self._clock.now()
        if period.end > now:
            raise ClosingRefused(f"{period} is not over: it ends at {period.end.isoformat()}, it is {now.isoformat()}")
        with self._alone():
            if self._record(period).exists():
                return self.show(period)
            closed = self._freeze(period, source)
            dataset = self._dataset(closed)
            manifest = self._stored(closed, dataset, accepted_schema) or self._train(closed, dataset, accepted_schema)
            return self._deploy(closed, dataset, manifest)

    def show(self, period: Period) -> Closed:
        """What came of a closing.

        Raises:
            UnknownClosing: it was not run, or is not over.
        """
        try:
            return _closed(self._record(period).read_bytes())
        except FileNotFoundError as error:
            known = ", ".join(each.period for each in self.all()) or "none"
            raise UnknownClosing(f"{period} was not closed; there are: {known}") from error

    def all(self) -> tuple[Closed, ...]:
        """All closings that are over, oldest first."""
        return tuple(_closed(file.read_bytes()) for file in sorted(self._folder.glob("*/closing.json")))

    def rollback(self, because: str, *, to: int | None = None) -> Promotion:
        """Make the model live again that the live one replaced, or version `to`, with the profiles it scored.

        Raises:
            NotPromotable: there is none to go back to, or its profiles are gone.
            UnknownModel: no model was ever deployed.
        """
        with self._alone():
            target = to if to is not None else self._replaced()
            if target is not None:
                self._check_profiles(target)
            evidence: dict[str, Json] = {"because": because, "by": f"{BY} rollback"}
            return self._registry.rollback(SEGMENT_MODEL, evidence, to=to)

    def _freeze(self, period: Period, source: ClosingSource) -> Frozen:
        file = self._folder / str(period) / "features.json.gz"
        if not file.exists():
            self._step("freeze")
            found = source.observe(period)
            found.check()
            write_whole(file, encode_frozen(found))
        return decode_frozen(file.read_bytes())

    def _dataset(self, closed: Frozen) -> Dataset:
        dataset = build_dataset(closed, self._before(closed.period))
        file = self._folder / str(closed.period) / "dataset.json.gz"
        self._step("data set")
        data = encode_dataset(dataset)
        if not file.exists():
            write_whole(file, data)
        elif file.read_bytes() != data:
            raise ClosingDamaged(f"the data set of {closed.period} is not what its closings give: {file.name}")
        return dataset

    def _before(self, period: Period) -> list[Frozen]:
        """The closings of the months before that were run, oldest first."""
        periods = [period.shifted(-months) for months in range(LOOK_BACK - 1, 0, -1)]
        files = [self._folder / str(each) / "features.json.gz" for each in periods]
        return [decode_frozen(file.read_bytes()) for file in files if file.exists()]

    def _live(self) -> Manifest | None:
        live = self._registry.pointer(SEGMENT_MODEL).live
        return None if live is None else self._registry.manifest(SEGMENT_MODEL, live)

    def _stored(self, closed: Frozen, dataset: Dataset, accepted_schema: str | None) -> Manifest | None:
        """The model that a run before this one stored, when nothing has changed since it was judged."""
        live = self._live()
        for listed in reversed(self._registry.listing(SEGMENT_MODEL)):
            kept, evidence = listed.manifest, listed.manifest.evidence
            if evidence.get("dataset_sha256") != dataset.sha256 or evidence.get("period") != str(closed.period):
                continue
            if listed.state is ModelState.LIVE or listed.promotions:
                return kept
            against = None if live is None else live.label
            if evidence.get("against") == against and evidence.get("accepted_schema") == accepted_schema:
                return kept
        return None

    def _train(self, closed: Frozen, dataset: Dataset, accepted_schema: str | None) -> Manifest:
        from personalization.classification.evaluate import evaluate
        from personalization.classification.gates import Limits, judge, refusal
        from personalization.classification.model import TrainSettings, load_classifier
        from personalization.classification.train import train

        self._step("train")
        settings, live = TrainSettings(), self._live()
        model = train(dataset, settings)
        served = None if live is None else load_classifier(self._registry.load(SEGMENT_MODEL, live.version).data)
        before = self._before(closed.period)
        found = evaluate(dataset, model, served, closed, before[-1] if before else None)
        verdicts = judge(
            found,
            period=closed.period,
            live_period=None if live is None else Period.parse(str(live.evidence["period"])),
            schema_hash=model.schema.hash,
            live_schema_hash=None if served is None else served.schema.hash,
            limits=Limits(),
            accepted_schema=accepted_schema,
        )
        evidence: dict[str, Json] = {
            "by": BY,
            "period": str(closed.period),
            "periods": [str(each) for each in dataset.periods],
            "rows": dict(dataset.counts()),
            "split": "by customer and time" if dataset.by_time else "by customer",
            "dataset_sha256": dataset.sha256,
            "schema_hash": model.schema.hash,
            "accepted_schema": accepted_schema,
            "against": None if live is None else live.label,
            "verdicts": [each.record() for each in verdicts],
            "refusal": refusal(verdicts),
            "evaluation": found.record(),
        }
        self._step("store")
        return self._registry.add(
            SEGMENT_MODEL,
            model.encode(),
            canaries=(),
            parents=() if live is None else (live.label,),
            data_range=DataRange(dataset.periods[0].start, closed.period.end, sum(dataset.counts().values())),
            settings=settings.record(),
            metrics={"macro_f1": found.candidate.macro_f1, "log_loss": found.candidate.log_loss},
            evidence=evidence,
        )

    def _deploy(self, closed: Frozen, dataset: Dataset, manifest: Manifest) -> Closed:
        """Deploy the model, or score by the one that stays live; then write down what came of it."""
        live = self._live()
        refusal = manifest.evidence["refusal"]
        known = next(
            each for each in self._registry.listing(SEGMENT_MODEL) if each.manifest.version == manifest.version
        )
        promotion = known.promotions[0] if known.promotions else None
        if refusal is None and promotion is None:
            self._score(closed, manifest)
            self._step("promote")
            evidence = {"by": BY, "because": f"the closing of {closed.period} passed all gates", **manifest.evidence}
            promotion = self._registry.promote(SEGMENT_MODEL, manifest.version, evidence)
        elif refusal is not None and live is not None and live.evidence["schema_hash"] == closed.table.schema.hash:
            self._score(closed, live)
        self._step("record")
        done = self._told(closed, dataset, manifest, promotion, live)
        write_whole(self._record(closed.period), orjson.dumps(done, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2))
        return done

    def _told(
        self,
        closed: Frozen,
        dataset: Dataset,
        manifest: Manifest,
        promotion: Promotion | None,
        live: Manifest | None,
    ) -> Closed:
        refusal = manifest.evidence["refusal"]
        rescored = live is not None and live.evidence["schema_hash"] == closed.table.schema.hash
        kept = live.label if live is not None and rescored else None
        replaced = None if promotion is None or promotion.replaces is None else promotion.replaces
        return Closed(
            period=str(closed.period),
            at=self._clock.now(),
            model=manifest.label,
            deployed=promotion is not None,
            refusal=None if refusal is None else str(refusal),
            replaced=None if replaced is None else label_of(SEGMENT_MODEL, replaced),
            scored_by=manifest.label if promotion is not None else kept,
            customers=len(closed.table.customers),
            rows=dataset.counts(),
            macro_f1=manifest.metrics["macro_f1"],
            dataset_sha256=dataset.sha256,
            schema_hash=closed.table.schema.hash,
            evidence=manifest.evidence,
            remarks=closed.remarks,
        )

    def _score(self, closed: Frozen, manifest: Manifest) -> None:
        from personalization.classification.model import load_classifier
        from personalization.classification.scorer import score_all

        self._step("score")
        model = load_classifier(self._registry.load(SEGMENT_MODEL, manifest.version).data)
        write_whole(profiles_file(self._profiles.parent, manifest.version), score_all(model, closed, manifest.label))

    def _replaced(self) -> int | None:
        live = self._registry.pointer(SEGMENT_MODEL).live
        for listed in self._registry.listing(SEGMENT_MODEL):
            if listed.manifest.version == live and listed.promotions:
                return listed.promotions[0].replaces
        return None

    def _check_profiles(self, version: int) -> None:
        self._registry.manifest(SEGMENT_MODEL, version)
        try:
            read_profiles(self._profiles.parent, version)
        except FileNotFoundError as error:
            label = label_of(SEGMENT_MODEL, version)
            raise NotPromotable(f"{label} has no profile store: it was never deployed, or that was removed") from error

    def _record(self, period: Period) -> Path:
        return self._folder / str(period) / "closing.json"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with alone(self._folder / "lock", wait=False):
                yield
        except BlockingIOError as error:
            raise ClosingBusy("another process is running a closing in this folder; wait until it has ended") from error


def profiles_file(folder: Path, version: int) -> Path:
    """Where the profile store of a version is, in a data folder."""
    return folder / PROFILES_FOLDER / label_of(SEGMENT_MODEL, version)


def _closed(data: bytes) -> Closed:
    try:
        record: dict[str, Any] = orjson.loads(data)
        return Closed(**{**record, "at": datetime.fromisoformat(record["at"]), "remarks": tuple(record["remarks"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ClosingDamaged(f"the record of a closing cannot be read: {type(error).__name__}: {error}") from error


def read_profiles(folder: Path, version: int) -> Profiles:
    """The profile store of a version, in a data folder.

    Raises:
        FileNotFoundError: there is none.
        ProfilesDamaged: it is not what was written.
    """
    return decode_profiles(profiles_file(folder, version).read_bytes())
