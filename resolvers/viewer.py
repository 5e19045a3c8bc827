"""Who asks. Made by `gateway/viewer.py` from a token or a signed cookie; nothing else may make one up."""

from dataclasses import dataclass, field

from personalization.events import Device, Persona

PREVIEW = "preview"
OPS = "ops"


@dataclass(frozen=True, slots=True)
class Audience:
    """What a viewer shares with many, and answers that are shared may depend on."""

    persona: Persona
    segment: str | None = None
    region: str | None = None
    device: Device | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: a signed-in customer, or an anonymous visitor with a signed first-party id.

    `subject` is the pseudonym that owns baskets and sticks to decisions: `customer:<id>` or `visitor:<id>`.
    `session` identifies the browsing session. `region` is the token's claim, or what the request tells of it.
    `fresh_session` says that the session begins with this request. Where `audience` is set, the viewer is nobody in
    particular but stands for all of it: `subject` and `session` are empty, and nothing is decided or recorded.
    """

    subject: str
    session: str
    customer_id: str | None = None
    persona: Persona | None = None
    region: str | None = None
    device: Device | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    fresh_session: bool = False
    audience: Audience | None = None

    @classmethod
    def standing_for(cls, audience: Audience) -> "Viewer":
        """The viewer that stands for all of an audience."""
        return cls("", "", persona=audience.persona, region=audience.region, device=audience.device, audience=audience)

    @property
    def may_preview(self) -> bool:
        """Whether this viewer may claim any context."""
        return PREVIEW in self.scopes
