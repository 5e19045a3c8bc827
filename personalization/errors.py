"""The one tree of errors. Every error this project raises on purpose descends from `PersonaError`.

Each layer hangs its branch below: `personalization` here, then `flags/errors.py`, `resolvers/errors.py` and
`gateway/errors.py`. `gateway/errors.py` holds the one table from these classes to error codes and HTTP statuses.
"""


class PersonaError(Exception):
    """Root of the tree. The message names the value received and what to do; it may be shown to a client."""


class DeadlineExceeded(PersonaError):
    """The time given to a visit, a call or a decision ran out."""


class InvalidEvent(PersonaError):
    """A decision or an outcome that may not enter the hub: which member, what was received."""


class HubUnavailable(PersonaError):
    """The hub could not be read or written; its cause says why."""


class PartitionLost(PersonaError):
    """A consumer committed offsets of a partition that another member of its group holds by now."""


class GroupMismatch(PersonaError):
    """A consumer joined a group whose members read other topics; name it differently."""


class JournalFull(PersonaError):
    """Decisions arrive faster than the hub takes them; the caller serves the default and counts it."""


class InvalidDistribution(PersonaError):
    """A policy gave probabilities that are negative, not finite, below the floor, or do not sum to one."""


class UnknownDecision(PersonaError):
    """The hub has no decision with this id (any more)."""


class InvalidFeature(PersonaError):
    """A context or an action holds what no policy may be asked about or learn from: which member, what was received."""


class ModelError(PersonaError):
    """A model cannot be stored, found, loaded or trusted; the subclass says which."""


class InvalidModel(ModelError):
    """The bytes or the settings of a model are none that can be loaded."""


class ModelDamaged(ModelError):
    """A stored model is not what was stored: its checksum, its manifest or a canary does not fit."""


class UnknownModel(ModelError):
    """The registry has no such model or version."""


class NotPromotable(ModelError):
    """A version cannot be made live: it is already, or there is none to go back to."""


class RegistryUnavailable(ModelError):
    """The registry's folder could not be read or written, or stayed locked; its cause says why."""


class NotEnoughRows(PersonaError):
    """There are too few joined decisions to learn from some and judge on others."""


class StorefrontFailed(PersonaError):
    """The gateway could not be asked by simulated shoppers, or refused: its address and what it said."""
