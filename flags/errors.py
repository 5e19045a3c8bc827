"""The branch of the error tree that belongs to flags."""

from personalization.errors import PersonaError


class FlagsError(PersonaError):
    """Something about flags: their definitions, or a question about them."""


class DefinitionsUnreadable(FlagsError):
    """The folder of definitions, or a file in it, cannot be read or is no JSON; its cause says why."""


class ReaderFailed(FlagsError):
    """The process that reads definitions could not be started, broke, or took too long; its cause says which."""


class InvalidDefinition(FlagsError):
    """A flag that may not be served: what is wrong with it, and what was received."""


class UnknownFlag(FlagsError):
    """A question about a flag that no definition names."""


class InvalidSubject(FlagsError):
    """A subject written in a way that cannot be read: what was received, and the form that is taken."""


class StickyUnavailable(FlagsError):
    """The remembered decisions could not be read or written; its cause says why."""


class InvalidPreview(FlagsError):
    """A preview token that is not to be believed, or that names what no definition has."""


class ComponentsUnreadable(FlagsError):
    """The folder of component versions cannot be read; its cause says why."""


class InvalidComponent(FlagsError):
    """A component version that may not be used: which member or line of it is wrong, what was received, what to do."""


class SchemaUnreadable(FlagsError):
    """A file that should hold a GraphQL schema, and does not; its cause says why."""


class ScaffoldRefused(FlagsError):
    """A component, or a version of one, that is not written: what stands in the way, and what to do about it."""
