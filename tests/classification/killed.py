"""A closing that kills itself before a step: `python -m tests.classification.killed FOLDER 2017-11 STEP`."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGKILL

from personalization.classification.dataset import Period
from personalization.classification.deploy import Closings
from personalization.clock import ManualClock
from personalization.registry import ModelRegistry
from tests.classification.shoppers import Shoppers


def main(folder: Path, period: Period, dies_at: str) -> None:
    """Never returns, when there is such a step."""

    def step(doing: str) -> None:
        if doing == dies_at:
            os.kill(os.getpid(), SIGKILL)

    clock = ManualClock(datetime(2018, 1, 1, tzinfo=UTC))
    Closings(folder, ModelRegistry(folder / "registry", clock), clock, step).run(period, Shoppers())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Period.parse(sys.argv[2]), sys.argv[3])
