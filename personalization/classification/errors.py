"""What can go wrong in a closing and with its models."""

from personalization.errors import ModelError, PersonaError


class ClosingError(PersonaError):
    """A closing cannot be run or told; the subclass says why."""


class InvalidPeriod(ClosingError):
    """A period is not written as `2017-10`."""


class ClosingRefused(ClosingError):
    """A closing cannot be run on what there is: which period, what is wrong with it, and what to do."""


class ClosingBusy(ClosingError):
    """Another process is running a closing in the same folder."""


class ClosingDamaged(ClosingError):
    """A frozen closing or its data set is not what was written."""


class UnknownClosing(ClosingError):
    """There is no closing of this period; the message names those there are."""


class ProfilesDamaged(ModelError):
    """A profile store is not what was written, or of another form."""


class SchemaMismatch(ModelError):
    """Features do not have the columns that a model learned: which ones are missing, and which are too many."""
