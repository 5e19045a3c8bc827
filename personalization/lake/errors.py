"""What can go wrong with the lake."""

from personalization.errors import PersonaError


class LakeError(PersonaError):
    """Something is wrong with the lake; the message says with which file."""


class LakeUnavailable(LakeError):
    """The lake cannot be read or written; its cause says why."""


class LakeDamaged(LakeError):
    """A file of the lake is not what its name or its checksum says."""


class LakeEmpty(LakeError):
    """What was asked for has never been made; the message says which command makes it."""


class LakeBusy(LakeError):
    """Another process does the same work on this lake right now."""
