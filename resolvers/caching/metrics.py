"""What the cache counts, by field: `Query.catalog`, `Recommendations.products`, `Product`. Names are the schema's."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class CacheMetrics:
    """Hits, misses, stale servings, waits for somebody else's making, evictions, bypasses and bytes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lookups = Counter(
            "gateway_cache_lookups",
            "Values looked for: `hit`, `stale` (served while it is renewed), `miss`, `shared` (made by somebody else "
            "meanwhile) or `bypass` (not kept at all).",
            ("field", "result"),
            registry=registry,
        )
        self._evictions = Counter(
            "gateway_cache_evictions", "Values thrown out to make room.", ("field",), registry=registry
        )
        self._renewals = Counter(
            "gateway_cache_renewals", "Values made anew in the background.", ("field", "result"), registry=registry
        )
        self._bypasses = Counter(
            "gateway_cache_bypasses",
            "Values not kept: `undeclared` (a resolver read what its scope forbids), `error`, `fallback`, `outrun` "
            "(purged while it was made), `room`.",
            ("field", "reason"),
            registry=registry,
        )
        self._purged = Counter("gateway_cache_purged", "Values thrown out by a purge.", registry=registry)
        self._mismatches = Counter(
            "gateway_cache_mismatches", "Values that a recomputation found wrong.", ("field",), registry=registry
        )
        self._bytes = Gauge(
            "gateway_cache_bytes", "Bytes held.", ("field",), registry=registry, multiprocess_mode="livesum"
        )
        self._entries = Gauge(
            "gateway_cache_entries", "Values held.", ("field",), registry=registry, multiprocess_mode="livesum"
        )
        self._second = Counter(
            "gateway_cache_second_tier",
            "Calls of the second tier: `ok`, `late`, `failed`, or `skipped` while it is taken for down.",
            ("call", "result"),
            registry=registry,
        )
        self._series: dict[tuple[str, str], Counter] = {}
        self._sizes: dict[str, tuple[Gauge, Gauge]] = {}

    def looked(self, field: str, result: str, times: int = 1) -> None:
        """Count look-ups."""
        series = self._series.get((field, result))
        if series is None:
            series = self._series[(field, result)] = self._lookups.labels(field, result)
        series.inc(times)

    def evicted(self, field: str) -> None:
        """Count an eviction."""
        self._evictions.labels(field).inc()

    def renewed(self, field: str, result: str) -> None:
        """Count a renewal: `ok` or `failed`."""
        self._renewals.labels(field, result).inc()

    def bypassed(self, field: str, reason: str) -> None:
        """Count a value that is not kept."""
        self._bypasses.labels(field, reason).inc()

    def purged(self, values: int) -> None:
        """Count purged values."""
        self._purged.inc(values)

    def mismatched(self, field: str) -> None:
        """Count a wrong value."""
        self._mismatches.labels(field).inc()

    def called(self, call: str, result: str) -> None:
        """Count a call of the second tier."""
        self._second.labels(call, result).inc()

    def holds(self, field: str, held: int, entries: int) -> None:
        """Note what a field holds now."""
        gauges = self._sizes.get(field)
        if gauges is None:
            gauges = self._sizes[field] = (self._bytes.labels(field), self._entries.labels(field))
        gauges[0].set(held)
        gauges[1].set(entries)
