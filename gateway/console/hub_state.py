"""The state of the hub: how far each group is, and what is in quarantine. No event's content is shown."""

from typing import Final

from personalization.hub.survey import HubSurvey
from personalization.learning.quarantine import QUARANTINE

MOST_COUNTED: Final = 50_000
MOST_SHOWN: Final = 20


def hub_state(survey: HubSurvey) -> dict[str, object]:
    """Lags by group and topic, reasons of the quarantine with counts, and where its newest entries came from.

    Raises:
        HubUnavailable: the hub cannot be read.
    """
    return {
        "lags": [
            {"group": each.group, "topic": each.topic, "behind": each.behind, "members": each.members}
            for each in survey.lags()
        ],
        "quarantine": {
            "reasons": dict(survey.reasons(QUARANTINE, MOST_COUNTED)),
            "latest": [
                {
                    "at": int(each.at.timestamp() * 1000),
                    "reason": each.reason,
                    "model": each.model,
                    "place": each.place,
                }
                for each in survey.latest(QUARANTINE, MOST_SHOWN)
            ],
        },
    }
