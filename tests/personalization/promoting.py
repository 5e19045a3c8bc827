"""A process that adds, promotes, rolls back and prunes until it is killed, and prints what was acknowledged."""

import sys
from pathlib import Path
from random import Random

from personalization.bandit.canaries import Canary
from personalization.clock import SystemClock
from personalization.errors import NotPromotable, UnknownModel
from personalization.events import DecisionContext
from personalization.registry import ModelRegistry

_MOST = 100_000
_CANARY = Canary(DecisionContext("HOME"), ("a", "b"), (0.5, 0.5))


def change_for_ever(folder: Path, seed: int) -> None:
    registry, random = ModelRegistry(folder, SystemClock(), patience=30.0), Random(seed)
    for number in range(_MOST):
        model = f"model {seed} {number}".encode() * 500
        version = registry.add("shelf", model, canaries=[_CANARY]).version
        sys.stdout.write(f"added {version}\n")
        try:
            promotion = registry.promote("shelf", version, {"number": number})
            sys.stdout.write(f"revision {promotion.revision}\n")
            if random.random() < 0.3:
                promotion = registry.rollback("shelf", {"number": number})
                sys.stdout.write(f"revision {promotion.revision}\n")
            if random.random() < 0.3:
                registry.prune("shelf", 5)
        except (NotPromotable, UnknownModel):  # another process was faster
            continue
        finally:
            sys.stdout.flush()


if __name__ == "__main__":
    change_for_ever(Path(sys.argv[1]), int(sys.argv[2]))
