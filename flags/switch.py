"""The flag of a component, seen as what gives its versions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flags.definition import FlagDefinition
from flags.manifest import ComponentVersionManifest
from flags.reachability import Reach, reach_of
from flags.registry import ComponentVersion
from flags.rendering import version_of


@dataclass(frozen=True, slots=True)
class Switch:
    """The flag of a component, with the versions that it can give.

    `variants` are the flag's variants by the version they stand for; a flag that is only on or off stands for the one
    version that there is, under the key None.
    """

    flag: FlagDefinition
    reach: Reach
    variants: Mapping[str | None, frozenset[str]]

    @classmethod
    def of(cls, flag: FlagDefinition) -> "Switch":
        """What this flag switches."""
        variants: dict[str | None, frozenset[str]] = {}
        for variant, value in flag.variants.items():
            version = version_of(value)
            if version is not None or value is True:
                variants[version] = variants.get(version, frozenset()) | {variant}
        return cls(flag, reach_of(flag), variants)

    @property
    def has_versions(self) -> bool:
        """Whether the flag chooses among versions and does not only switch on and off."""
        return None not in self.variants

    def variants_of(self, version: str) -> frozenset[str]:
        """The variants that stand for a version."""
        return self.variants.get(version if self.has_versions else None, frozenset())

    def gives(self, version: str) -> bool:
        """Whether somebody is given this version."""
        return bool(self.variants_of(version) & self.reach.given)

    def newest_above(self, manifest: ComponentVersionManifest) -> int | None:
        """The newest version that is given to somebody and, where a client cannot render it, falls back to this one."""
        if manifest.version not in self.variants:
            return None
        given = [_number(version) for version in self.variants if version is not None and self.gives(version)]
        return max((each for each in given if each > manifest.number), default=None)

    def missing(self, versions: Iterable[ComponentVersion]) -> list[str]:
        """The versions that the flag can be and that are none of these, oldest first."""
        known = {version.manifest.version for version in versions}
        if not self.has_versions:
            return [] if known else ["v1"]
        return sorted((each for each in self.variants if each is not None and each not in known), key=_number)


def _number(version: str) -> int:
    """2 for `v2`; definitions are checked to have no other form."""
    return int(version[1:])
