"""How a VW model explores and learns; kept in its manifest, so that the same bytes are always loaded the same way."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite

from personalization.errors import InvalidModel

Scalar = str | int | float


@dataclass(frozen=True, slots=True)
class VwSettings:
    """Settings of a SquareCB model.

    `interactions` are words of the namespaces' first letters (`vw_examples.py`): `ka` is category x action.
    `gamma_scale` and `gamma_exponent` say how fast it exploits: after t lessons, gamma is `scale * t ** exponent`.
    `floor_share` of each distribution is spread evenly over its actions, so none is below `floor_share / K`.
    """

    interactions: tuple[str, ...] = ("ca", "ka", "sa", "ksa")
    gamma_scale: float = 10.0
    gamma_exponent: float = 0.5
    learning_rate: float = 0.5
    bits: int = 18
    floor_share: float = 0.05

    def __post_init__(self) -> None:
        numbers = (self.gamma_scale, self.gamma_exponent, self.learning_rate)
        if not all(isfinite(each) and each > 0 for each in numbers):
            raise InvalidModel(f"gamma and learning rate are above zero and finite, received {numbers}")
        if not 0.0 < self.floor_share <= 1.0:
            raise InvalidModel(f"floor_share is above 0 and at most 1, received {self.floor_share!r}")
        if not 1 <= self.bits <= 30:
            raise InvalidModel(f"bits is 1 to 30, received {self.bits!r}")
        if not all(word and set(word) <= set("cksa") for word in self.interactions):
            raise InvalidModel(f"interactions are words of c, k, s and a, received {list(self.interactions)}")

    def arguments(self) -> list[str]:
        """The command line of VW."""
        return [
            "--cb_explore_adf",
            "--squarecb",
            *("--gamma_scale", repr(self.gamma_scale)),
            *("--gamma_exponent", repr(self.gamma_exponent)),
            *("--learning_rate", repr(self.learning_rate)),
            *("--bit_precision", str(self.bits)),
            *(part for word in self.interactions for part in ("--interactions", word)),
            "--quiet",
        ]

    def record(self) -> Mapping[str, Scalar]:
        """As members of a manifest; `of` reads them back."""
        return {**asdict(self), "interactions": " ".join(self.interactions)}

    @classmethod
    def of(cls, record: Mapping[str, Scalar]) -> "VwSettings":
        """The settings that `record` gave; members left out have their defaults.

        Raises:
            InvalidModel: a member is not known, or its value is none it can have.
        """
        known = {name: type(value) for name, value in asdict(cls()).items()}
        values: dict[str, object] = {}
        for name, value in record.items():
            kind = known.get(name)
            if kind is tuple and isinstance(value, str):
                values[name] = tuple(value.split())
            elif kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool):
                values[name] = kind(value)
            else:
                raise InvalidModel(f"setting {name!r} of a VW model cannot be {value!r}")
        return cls(**values)  # type: ignore[arg-type]  # of the kinds of the defaults, as checked above
