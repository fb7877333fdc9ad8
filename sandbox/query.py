"""What Mailchimp's lists do with the parameters of a query: filter, sort, count, and leave fields out."""

from collections import defaultdict
from datetime import UTC, datetime
from operator import gt, lt
from typing import Any

from sandbox.simulation import Row

Query = dict[str, str]


class Invalid(ValueError):
    """A parameter, named by the message, that makes no sense."""


def select(rows: list[Row], query: Query, sort: list[str], equal: list[str], times: list[str]) -> list[Row]:
    """The rows that the filters leave, in the order asked for. `times`: columns with a since_ and a before_ filter."""
    for name in filter(query.get, equal):
        rows = [row for row in rows if row[name] == query[name]]
    for name in times:
        for parameter, compare in ((f"since_{name}", gt), (f"before_{name}", lt)):
            if limit := moment(query, parameter):
                rows = [row for row in rows if row[name] and compare(row[name], limit)]
    if name := query.get("sort_field"):
        if name not in sort:
            raise Invalid("sort_field")
        rows = sorted(rows, key=lambda row: row[name], reverse=query.get("sort_dir") == "DESC")
    return rows


def number(query: Query, name: str, default: int, maximum: float = float("inf")) -> int:
    """A count in the query."""
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) > maximum:
        raise Invalid(name)
    return int(text)


def moment(query: Query, name: str) -> str:
    """A time of the query, written as rows have theirs; "" if there is none."""
    if not query.get(name):
        return ""
    try:
        at = datetime.fromisoformat(query[name])
    except ValueError:
        raise Invalid(name) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds")


def project(value: Any, paths: list[str], is_kept: bool) -> Any:
    """Only the fields that `paths` name with dots, or all but those; lists are looked through."""
    if isinstance(value, list):
        return [project(item, paths, is_kept) for item in value]
    if not isinstance(value, dict):
        return value
    below = defaultdict(list)
    for path in paths:
        name, _, rest = path.partition(".")
        below[name].append(rest)
    result = {}
    for name, part in value.items():
        if name in below and "" not in below[name]:
            result[name] = project(part, below[name], is_kept)
        elif (name in below) == is_kept:
            result[name] = part
    return result
