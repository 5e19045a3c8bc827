"""Season of the year, from the date and the region."""

from datetime import datetime

from personalization.events import Season

# ISO 3166 codes of countries whose people live mostly south of the equator.
_SOUTHERN = frozenset(
    (
        *("AO", "AR", "AU", "BI", "BO", "BR", "BW", "CD", "CG", "CL", "FJ", "GA", "ID", "KE", "LS", "MG", "MU"),
        *("MW", "MZ", "NA", "NZ", "PE", "PG", "PY", "RW", "SC", "SZ", "TL", "TO", "TZ", "UY", "VU", "WS", "ZA"),
        *("ZM", "ZW"),
    )
)
_NORTHERN_SEASONS = (Season.WINTER, Season.SPRING, Season.SUMMER, Season.AUTUMN)


def season(at: datetime, region: str | None) -> Season:
    """The meteorological season (December to February is northern winter) in `region` at `at`.

    `region` is a country code or begins with one (`AU-NSW`); unknown regions count as northern.
    """
    quarter = at.month % 12 // 3
    if region is not None and region.split("-")[0].upper() in _SOUTHERN:
        quarter = (quarter + 2) % 4
    return _NORTHERN_SEASONS[quarter]
