"""What the loaders of social networks share: at which ages of a post its reactions are noted, and which of the known
posts are looked at again."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.stream import Window

MILESTONES = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
"""Ages at which it is noted how many had reacted to a post."""

OPEN_FOR = MILESTONES["30d"]
"""So long a post is looked at in every run; the older ones once a SWEEP."""

SWEEP = timedelta(days=7)

ALL = "true"
"""SQL for the known posts that are looked at again: all of them."""

MOST_FAILED = 5
"""Threads that can't be read, before the others are not tried."""


def milestone(published_at: datetime, found_at: datetime, now: datetime, since: datetime | None) -> str | None:
    """The latest age that a post came of since it was last looked at, at `since`; the earlier ones were missed. None if
    there is none. `found_at`: since when it could be looked at."""
    past = [name for name, age in MILESTONES.items() if published_at + age <= now]
    if not past or (since and max(published_at + MILESTONES[past[-1]], found_at) <= since):
        return None
    return past[-1]


def due(column: str, since: datetime | None, window: Window, now: datetime) -> str:
    """SQL for the known posts that are looked at again: those that may have come of an age since the last run, by the
    time in `column`, or ALL. The reader notes in the state as `swept_at` when it has looked at all."""
    swept_at = as_time(window.state.get("swept_at"))
    if not since or not swept_at or now - swept_at >= SWEEP:
        return ALL
    return f"{column} >= timestamptz '{since - OPEN_FOR}'"


def is_within(at: datetime | None, window: Window) -> bool:
    """Whether a time lies between --since and --until, where those are given; so does one that is not known."""
    if not window.is_partial or at is None:
        return True
    return not (window.since and at < window.since) and not (window.until and at >= window.until)


def as_time(text: Any) -> datetime | None:
    """A time as an API writes it (UTC if it does not say); None if it is none."""
    try:
        at = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
