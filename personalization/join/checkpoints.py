"""Checkpoints of the online join: how far a partition was read, and what the joiner held then, in one file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson
import structlog

from personalization.errors import InvalidEvent
from personalization.files import write_whole
from personalization.join.state import JoinerState, decode_state, encode_state

CHECKPOINT_VERSION = 1

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Mark:
    """Events from `offset` on are needed until event time is past `needed_until`."""

    offset: int
    needed_until: datetime


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A partition of the log `log_id`: the state holds all below the offsets, by topic, and nothing from there on."""

    log_id: str
    offsets: Mapping[str, int]
    marks: Mapping[str, tuple[Mark, ...]]
    state: JoinerState


class Checkpoints:
    """A folder with a file for each partition, replaced as a whole. All of it blocks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, partition: int, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, durably, in place of the one before. Raises `OSError` of the disk."""
        members = {
            "v": CHECKPOINT_VERSION,
            "log_id": checkpoint.log_id,
            "offsets": checkpoint.offsets,
            "marks": checkpoint.marks,
            "state": orjson.Fragment(encode_state(checkpoint.state)),
        }
        write_whole(self._file(partition), orjson.dumps(members))

    def read(self, partition: int, log_id: str) -> Checkpoint | None:
        """The last checkpoint of this log; None when there is none, or it cannot be read, which is logged."""
        try:
            return _checkpoint(self._file(partition).read_bytes(), log_id)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidEvent) as error:
            _log.warning("join_checkpoint_unreadable", partition=partition, kind=type(error).__name__)
            return None

    def _file(self, partition: int) -> Path:
        return self._folder / f"partition-{partition}.json"


def _checkpoint(content: bytes, log_id: str) -> Checkpoint | None:
    members = orjson.loads(content)
    if members["v"] != CHECKPOINT_VERSION or members["log_id"] != log_id:
        return None
    marks = {
        topic: tuple(Mark(each["offset"], datetime.fromisoformat(each["needed_until"])) for each in row)
        for topic, row in members["marks"].items()
    }
    return Checkpoint(log_id, members["offsets"], marks, decode_state(orjson.dumps(members["state"])))
