"""What can go wrong with features and segments."""

from personalization.errors import PersonaError


class SegmentationError(PersonaError):
    """Segments cannot be made of these data; the message says why and what to do."""


class NoCustomers(SegmentationError):
    """Nobody ordered anything before the date, so there is nothing to compute features of."""


class EmptyPeriod(SegmentationError):
    """Nobody ordered anything in the period, though some did before."""


class MissingMonths(SegmentationError):
    """Months that features look back to have no orders at all; the message names them."""


class NotEnoughVariety(SegmentationError):
    """Too few customers, or too few that differ, for as many groups as were asked for."""


class InvalidSegments(SegmentationError):
    """The file of segments, or a name given to one, is not as it must be; or features are not those it is for."""


class InvalidTransactions(SegmentationError):
    """A file of transactions that cannot be read: which line, and what is wrong with it."""


class InvalidFeatures(SegmentationError):
    """A feature that is not there, is not a number where one is needed, or is infinite: which, and of whom."""
