"""The branch of the error tree that belongs to data sources, loaders and resolvers."""

from personalization.errors import PersonaError


class SourceError(PersonaError):
    """The E-Commerce API behind the gateway did not give what was asked."""


class SourceUnavailable(SourceError):
    """It cannot be reached, broke the contract, or its circuit is open; trying again later may help."""


class SourceRefused(SourceError):
    """It answered, and said no: the request was wrong in a way only the caller can mend."""


class InvalidCursor(SourceRefused):
    """A page cursor that was not given out for this list, or was damaged."""


class UnknownProduct(SourceRefused):
    """A write named a product that does not exist."""


class UnknownCategory(SourceRefused):
    """A list was asked of a category that does not exist."""


class UnknownBasket(SourceRefused):
    """A write named a basket that does not exist or belongs to somebody else."""


class InvalidArgument(PersonaError):
    """An argument is outside its allowed range: which one, what was received, what is allowed."""


class ForbiddenContext(PersonaError):
    """A viewer claimed a context it has no right to."""


class Unauthenticated(PersonaError):
    """The field needs a signed-in viewer and there is none."""


class UndeclaredRead(PersonaError):
    """A resolver read of its visit what the scope of the value it makes does not declare."""


class NotRenewed(PersonaError):
    """A stale value could not be made anew; it goes on being served until it is no longer good."""
