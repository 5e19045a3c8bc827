"""What closings run on here: the data folder, the segments' file, and the shop's orders or a file of transactions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gateway.errors import StartRefused
from gateway.settings import Settings, SourceKind
from personalization.classification.dataset import Period
from personalization.classification.deploy import Closings, Step
from personalization.clock import Clock
from personalization.registry import REGISTRY_FOLDER, ModelRegistry

if TYPE_CHECKING:
    from personalization.segmentation.closing import ShopClosings
    from personalization.segmentation.definitions import SegmentSet

SEGMENTS_MADE = 4
"""How many segments are made where there are only transactions and nobody defined any."""

_LOOK_BACK_DAYS = 90


def open_closings(settings: Settings, clock: Clock, step: Step | None = None) -> Closings:
    """The closings of the data folder."""
    folder = settings.data_dir
    return Closings(folder, ModelRegistry(folder / REGISTRY_FOLDER, clock), clock, step)


@contextmanager
def closing_source(
    settings: Settings,
    clock: Clock,
    period: Period,
    *,
    segments: Path | None = None,
    transactions: Path | None = None,
    accept_gaps: bool = False,
) -> "Iterator[ShopClosings]":
    """Where a closing gets features and segments from; blocks.

    Segments are those of the file `segments`, or of `segments.json` in the data folder. Without either the embedded
    shop's own take their place; of transactions some are made as of the end of this period, and written there.

    Raises:
        StartRefused: the shop is another one than the embedded, and there is no file of transactions.
        InvalidTransactions, InvalidSegments, LakeError: a file cannot be used.
    """
    if transactions is None and settings.source is not SourceKind.EMBEDDED:
        raise StartRefused(
            f"orders of a shop behind {settings.source.value!r} cannot be read whole: give them by --transactions FILE"
        )
    with TemporaryDirectory() as folder:
        if transactions is None:
            yield _embedded(Path(folder), settings, clock, segments, accept_gaps)
        else:
            yield _of_transactions(Path(folder), settings, clock, period, segments, transactions, accept_gaps)


def _embedded(
    folder: Path, settings: Settings, clock: Clock, segments: Path | None, accept_gaps: bool
) -> "ShopClosings":
    from personalization.segmentation.closing import ShopClosings
    from personalization.segmentation.definitions import read_segments
    from resolvers.sources.embedded_export import (
        DEFAULT_SEGMENTS,
        KNOWN_AT_CLOSINGS,
        LARGEST_CATEGORIES,
        export_shop,
    )

    own = segments_file(settings, segments)
    defined = read_segments(own if segments is not None or own.exists() else DEFAULT_SEGMENTS)
    tables = export_shop(folder)
    return ShopClosings(tables, defined, KNOWN_AT_CLOSINGS, clock, LARGEST_CATEGORIES, accept_gaps)


def _of_transactions(
    folder: Path,
    settings: Settings,
    clock: Clock,
    period: Period,
    segments: Path | None,
    transactions: Path,
    accept_gaps: bool,
) -> "ShopClosings":
    from personalization.segmentation.closing import OF_TRANSACTIONS, ShopClosings, transactions_as_tables
    from personalization.segmentation.definitions import read_segments, write_segments
    from personalization.segmentation.transactions import read_transactions

    tables = transactions_as_tables(folder, read_transactions(transactions))
    own = segments_file(settings, segments)
    if not own.exists():
        write_segments(own, _made(tables, period))
    return ShopClosings(tables, read_segments(own), OF_TRANSACTIONS, clock, accept_gaps=accept_gaps)


def _made(tables: Mapping[str, Path], period: Period) -> "SegmentSet":
    from personalization.segmentation.closing import features_at
    from personalization.segmentation.definitions import define

    return define(features_at(tables, period, _LOOK_BACK_DAYS), SEGMENTS_MADE)


def segments_file(settings: Settings, given: Path | None) -> Path:
    """The file of segments: the one that is given, or that of the data folder."""
    from personalization.segmentation.definitions import SEGMENTS_FILE

    return given or settings.data_dir / SEGMENTS_FILE
