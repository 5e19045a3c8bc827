"""Every setting, read once from the environment into one frozen value."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class SourceKind(StrEnum):
    """Which E-Commerce API stands behind the gateway."""

    EMBEDDED = "embedded"
    HTTP = "http"
    OSCAR = "oscar"


class LimitsMode(StrEnum):
    """What happens to an operation over a limit."""

    ENFORCE = "enforce"
    WARN = "warn"


class DocumentsMode(StrEnum):
    """Whether operations must be in the manifest of trusted documents."""

    OFF = "off"
    LOG = "log"
    ONLY = "only"


class PolicyMode(StrEnum):
    """How far the decisions of bandits go."""

    LOG_ONLY = "log_only"
    APPRENTICE = "apprentice"
    ONLINE = "online"
    FALLBACK = "fallback"


class Settings(BaseSettings):
    """Settings of the gateway. The name of a member in capitals behind `GATEWAY_` is its environment variable."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Processes that answer requests.")
    data_dir: Path = Field(Path("var"), description="Folder for the embedded shop, the hub and the models.")

    source: SourceKind = Field(SourceKind.EMBEDDED, description="The E-Commerce API: `embedded`, `http` or `oscar`.")
    upstream_url: str = Field(
        "http://127.0.0.1:8001", description="Base address of the E-Commerce API for `http` and `oscar`."
    )
    upstream_timeout_ms: int = Field(
        1500, ge=1, description="Longest a single upstream call may take, even when the visit has more time left."
    )
    upstream_connections: int = Field(64, ge=1, description="Connections kept to the upstream.")
    upstream_retries: int = Field(2, ge=0, le=10, description="Retries of a failed upstream read.")
    upstream_concurrency: int = Field(16, ge=1, description="Calls at a time to an `oscar` shop, all batches together.")
    breaker_threshold: int = Field(5, ge=1, description="Upstream failures in a row that open the circuit.")
    breaker_recovery_ms: int = Field(2000, ge=1, description="How long an open circuit refuses calls.")
    oscar_user: str | None = Field(None, description="Staff user of the `oscar` shop, to read orders.")
    oscar_password: SecretStr | None = Field(None, description="Password of that user.")
    oscar_refresh_s: float = Field(300.0, gt=0, description="Seconds between refreshes of the `oscar` index.")

    request_timeout_ms: int = Field(5000, ge=1, description="Longest a request may take.")
    personalization_timeout_ms: int = Field(
        800, ge=1, description="Longest a personalized field may take before its default is given."
    )
    max_body_bytes: int = Field(262_144, ge=1024, description="Largest request body.")
    limits_mode: LimitsMode = Field(
        LimitsMode.ENFORCE, description="`enforce` refuses what is over a limit, `warn` logs and counts it."
    )
    max_depth: int = Field(12, ge=1, description="Deepest selection of an operation.")
    max_aliases: int = Field(30, ge=0, description="Most aliases in an operation.")
    max_tokens: int = Field(2000, ge=1, description="Most tokens in a document.")
    max_directives: int = Field(50, ge=0, description="Most directives in a document.")
    max_root_fields: int = Field(20, ge=1, description="Most fields at the root of an operation.")
    max_cost: int = Field(5000, ge=1, description="Highest cost of an operation, from `@cost` and `@listSize`.")
    introspection: bool = Field(True, description="Whether clients may ask for the schema.")
    operation_cache_size: int = Field(
        1000,
        ge=1,
        description="Places for operations kept ready; one takes a place for each 200 tokens or 16 kB begun.",
    )
    apq: bool = Field(True, description="Whether automatic persisted queries are taken.")
    documents_mode: DocumentsMode = Field(
        DocumentsMode.OFF,
        description="Trusted documents: `off`, `log` what is not in the manifest, or accept it `only`.",
    )
    documents_manifest: Path | None = Field(None, description="Manifest of trusted documents (JSON).")

    token_key: SecretStr | None = Field(
        None, description="Key of HS256 tokens. Unset with the embedded shop, a development key is used."
    )
    token_jwks_url: str | None = Field(None, description="Address of the JWKS for RS256 tokens.")
    token_issuer: str | None = Field(None, description="Issuer that tokens must name.")
    token_audience: str | None = Field(None, description="Audience that tokens must name.")
    cookie_key: SecretStr | None = Field(
        None, description="Key that signs the visitor cookie. Unset with the embedded shop, a development key is used."
    )
    cookie_secure: bool = Field(False, description="Whether the visitor cookie is sent over HTTPS only.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of pages that may call from elsewhere, separated by commas."
    )
    default_region: str | None = Field(None, description="Region of viewers of whom none is known.")
    region_header: str | None = Field(None, description="Header in which a trusted proxy names the viewer's region.")

    flags_dir: Path | None = Field(None, description="Folder of flagd definitions; unset, those of the demo shop.")
    components_dir: Path | None = Field(
        None, description="Folder of component versions; unset, those of the demo shop."
    )
    ofrep_streams: int = Field(1000, ge=0, description="Most streams of flag notices open at a time, in each process.")
    flags_segments: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Segments that flags may name, separated by commas; others are refused. Unset, any.",
    )

    sticky_decisions_s: float = Field(
        1800.0, gt=0, description="How long a session keeps the variants that decisions gave it."
    )
    events_per_minute: int = Field(
        600, ge=1, description="Events that a process takes from one session in a minute; a hundred at once always."
    )
    new_session_events_per_minute: int = Field(
        60_000, ge=1, description="The same of one address, from all whose session begins with the request."
    )
    hub_retention_days: float = Field(7.0, gt=0, le=3650, description="Days that events are kept in the hub.")
    hub_retention_events: int = Field(2_000_000, ge=1000, description="Most events of a topic kept in the hub.")
    writer_process: bool = Field(
        True,
        description="Whether decisions and exposures are written to the hub by a process beside each worker; by a "
        "thread of it otherwise, which takes a little from its answers.",
    )
    learning: bool = Field(
        True, description="Whether `serve` runs the process beside its workers that joins, learns and fills the lake."
    )
    policy_mode: PolicyMode = Field(
        PolicyMode.ONLINE,
        description="Who decides: evenly and `log_only`, the default while an `apprentice` learns it, the live model "
        "`online` (evenly while there is none), or the default as a `fallback`.",
    )
    holdback: float = Field(
        0.05, ge=0, le=1, description="Share of subjects who always get the default on shelves while a model decides."
    )
    exploration_floor: float = Field(
        0.05, ge=0, le=1, description="Least share of a drawn distribution that is spread evenly over its actions."
    )

    join_window_s: float = Field(20.0, gt=0, le=86_400, description="How long after a decision an outcome counts.")
    join_lateness_s: float = Field(
        2.0,
        ge=0,
        le=86_400,
        description="How much later it may be received and still count; then the decision is joined.",
    )
    join_assume_displayed: bool = Field(
        False, description="Whether all that was served counts as displayed, for pages that do not report it."
    )
    join_rules: Path | None = Field(
        None,
        description="File of rules (JSON) for placements whose outcomes are worth something else, or for longer; it "
        "stands above flags.",
    )
    lake_dir: Path | None = Field(None, description="Folder of the lake; unset, `lake` in the data folder.")

    cache: bool = Field(True, description="Whether values are kept as ready JSON, by `@cacheControl`.")
    cache_bytes: int = Field(
        67_108_864, ge=65_536, description="Bytes of memory that kept values may take, in each process."
    )
    redis_url: SecretStr | None = Field(
        None, description="Redis that processes share kept values through, as `redis://:password@host:6379/0`."
    )
    audience_cookie: bool = Field(
        False, description="Whether a CDN may keep answers for whole audiences, by a signed cookie (docs/caching.md)."
    )
    cache_shadow_ratio: float = Field(
        0.0, ge=0, le=1, description="Share of kept answers that are made anew in the background and compared."
    )
    cache_strict: bool = Field(
        False, description="Whether a value that reads what its scope does not declare is an error, or just not kept."
    )

    short_way: bool = Field(
        True, description="Whether requests that came before are answered past all that they do not need."
    )

    drain_timeout_s: float = Field(10.0, gt=0, description="Longest a stopping server finishes what it began.")
    otlp_endpoint: str | None = Field(
        None, description="Base address of an OTLP/HTTP receiver; unset, no traces leave the process."
    )
    trace_sample_ratio: float = Field(1.0, ge=0, le=1, description="Share of new traces that are recorded.")
    log_level: str = Field("INFO", description="Least severe level logged.")

    @model_validator(mode="after")
    def _staff_is_whole(self) -> Self:
        if (self.oscar_user is None) != (self.oscar_password is None):
            raise ValueError("GATEWAY_OSCAR_USER and GATEWAY_OSCAR_PASSWORD go together; one of them is not set")
        return self

    @field_validator("cors_origins", "flags_segments", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
