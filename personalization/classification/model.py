"""The classifier: CatBoost behind our words. Nothing else imports it; importing it takes half a second."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
from catboost import CatBoostClassifier, CatBoostError, FeaturesData, Pool

from personalization.classification.dataset import Rows
from personalization.classification.errors import ClosingRefused
from personalization.classification.table import Schema, Table, Value
from personalization.errors import InvalidModel

CHUNK = 50_000
"""Rows scored at a time, so that a million of them need no more memory."""

THREADS = 2
"""Of training; another number would give other bytes."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How a model is trained. The same settings and rows give the same bytes."""

    iterations: int = 400
    rate: float = 0.08
    depth: int = 5
    patience: int = 30
    seed: int = 7
    class_weights: str = "SqrtBalanced"

    def record(self) -> dict[str, str | int | float]:
        """For a manifest."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Scores:
    """Of each row its most probable segment, as an index of `Classifier.segments`, and all probabilities."""

    best: Any
    probabilities: Any


class Classifier:
    """A trained model with what it needs to be used: its columns, its segments and its temperature."""

    def __init__(self, model: CatBoostClassifier, schema: Schema, temperature: float) -> None:
        self._model = model
        self.schema = schema
        self.temperature = temperature
        self.segments: tuple[str, ...] = tuple(str(each) for each in model.classes_)

    @property
    def trees(self) -> int:
        """How many trees early stopping left."""
        return int(self._model.tree_count_)

    def tempered(self, temperature: float) -> "Classifier":
        """The same model with another temperature: above 1 it is less sure of itself."""
        return Classifier(self._model, self.schema, temperature)

    def margins(self, table: Table) -> Any:
        """Raw values, shape (rows, segments), before temperature and softmax.

        Raises:
            SchemaMismatch: the table has other columns.
        """
        self.schema.check(table.schema, "the table")
        found = [
            self._model.predict(
                _features(table, start, start + CHUNK), prediction_type="RawFormulaVal", thread_count=THREADS
            )
            for start in range(0, len(table.customers), CHUNK)
        ]
        return np.concatenate(found) if found else np.empty((0, len(self.segments)))

    def score(self, table: Table) -> Scores:
        """The segments of all rows of a table.

        Raises:
            SchemaMismatch: the table has other columns.
        """
        probabilities = softmax(self.margins(table) / self.temperature)
        return Scores(probabilities.argmax(axis=1), probabilities)

    def score_one(self, known: Mapping[str, Value]) -> tuple[str, float]:
        """Segment and probability of one customer of whom only so much is known; see `Schema.row` for what is not."""
        margins = self._model.predict(self.schema.row(known), prediction_type="RawFormulaVal", thread_count=1)
        scaled = [value / self.temperature for value in margins.tolist()]
        top = max(scaled)
        return self.segments[scaled.index(top)], 1.0 / sum(exp(value - top) for value in scaled)

    def encode(self) -> bytes:
        """The model as bytes: a line of JSON, then CatBoost's own form without what differs from run to run."""
        header = {
            "format": FORMAT,
            "numbers": self.schema.numbers,
            "categories": self.schema.categories,
            "temperature": self.temperature,
        }
        return orjson.dumps(header, option=orjson.OPT_SORT_KEYS) + b"\n" + _serialized(self._model)


def load_classifier(data: bytes) -> Classifier:
    """The model of these bytes, which `Classifier.encode` gave.

    Raises:
        InvalidModel: they are of another form.
    """
    head, _, body = data.partition(b"\n")
    model = CatBoostClassifier()
    try:
        header = orjson.loads(head)
        if header["format"] != FORMAT:
            raise InvalidModel(f"the classifier has format {header['format']!r}, this version reads {FORMAT}")
        model.load_model(blob=body)
        return Classifier(model, Schema(tuple(header["numbers"]), tuple(header["categories"])), header["temperature"])
    except (ValueError, KeyError, TypeError, CatBoostError) as error:
        raise InvalidModel(f"these bytes are no classifier: {type(error).__name__}: {error}") from error


def fit(train: Rows, validation: Rows, settings: TrainSettings) -> Classifier:
    """Train until the validation rows are told no better, and keep the trees up to the best.

    Raises:
        ClosingRefused: CatBoost cannot learn from them, such as when all customers are equal.
    """
    model = CatBoostClassifier(
        loss_function="MultiClass",
        iterations=settings.iterations,
        learning_rate=settings.rate,
        depth=settings.depth,
        early_stopping_rounds=settings.patience,
        use_best_model=True,
        random_seed=settings.seed,
        auto_class_weights=settings.class_weights,
        thread_count=THREADS,
        allow_writing_files=False,
        verbose=False,
    )
    # A segment that was never trained on cannot be validated either.
    seen = set(train.labels)
    rows = [row for row, label in enumerate(validation.labels) if label in seen]
    held_out = Pool(_features(validation.table.take(rows)), [validation.labels[row] for row in rows]) if rows else None
    try:
        model.fit(Pool(_features(train.table), list(train.labels)), eval_set=held_out)
    except CatBoostError as error:
        raise ClosingRefused(f"nothing can be learned from these {len(train)} rows: {error}") from error
    return Classifier(model, train.table.schema, 1.0)


def softmax(margins: Any) -> Any:
    """Probabilities of raw values, by row."""
    shifted = np.exp(margins - margins.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _features(table: Table, start: int = 0, stop: int | None = None) -> FeaturesData:
    numbers = table.numbers[start:stop]
    return _data(table, numbers, [column[start:stop] for column in table.categories])


def _data(table: Table, numbers: Any, columns: Sequence[Sequence[str]]) -> FeaturesData:
    categories = np.empty((len(numbers), len(columns)), dtype=object)
    for index, column in enumerate(columns):
        categories[:, index] = [value.encode() for value in column]
    return FeaturesData(
        num_feature_data=np.ascontiguousarray(numbers, dtype=np.float32) if table.schema.numbers else None,
        cat_feature_data=categories if columns else None,
        num_feature_names=list(table.schema.numbers) or None,
        cat_feature_names=list(table.schema.categories) or None,
    )


def _serialized(model: CatBoostClassifier) -> bytes:
    metadata = model.get_metadata()
    for name in ("model_guid", "train_finish_time"):
        metadata[name] = ""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.cbm"
        model.save_model(str(file))
        return file.read_bytes()
