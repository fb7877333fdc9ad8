"""Reading Mastodon's API: lists from the newest on, threads, and statuses that are due to be looked at again."""

import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from ingestion.contract import items
from ingestion.errors import PartFailed, SourceError
from ingestion.http import Answer, Client, Limit, Refused
from ingestion.stream import Gone, Page, Stream, Window

MILESTONES = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
"""Ages at which a status is looked at again: how many reacted, whether it was edited, whether it is still there."""

OPEN_FOR = MILESTONES["30d"]

LOOK_BACK = timedelta(days=1)
"""Of what was read up to a moment, so much is read again: what other servers deliver late has its old place."""

LIMIT, PAGING_LIMIT = (300, 300), (300, 900)
"""Requests and seconds, of one token, and of those that ask for a page beyond the first (Mastodon's rack_attack)."""

PAGE, NOTIFICATIONS_PAGE, BATCH = 40, 80, 20
"""Statuses and notifications in a page, and statuses asked for by id at once: the most that Mastodon gives."""

KEPT_ANSWERS = 200
"""So many answers are kept, so that two streams that are read from the same ones ask but once."""

GONE = (404, 410)
CLOSED = (401, 403, 422)


class NotEntitled(SourceError):
    """The server does not show this to the token."""


class AccountGone(SourceError):
    """An account of ours is not there."""


class Found(NamedTuple):
    """Statuses that one answer has, and of those that just came of age the milestone."""

    statuses: list[dict[str, Any]]
    milestones: dict[str, str]
    answer: Answer


class Part(NamedTuple):
    """A list of statuses: `pages()` gives it from the newest on, each with the moment that it is sorted by; the first
    time as far back as `first`."""

    name: str
    pages: Callable[[], Iterator[tuple[Answer, list[tuple[datetime, dict[str, Any]]]]]]
    first: datetime | None


class Reader:
    """Reads one stream after the other: a server that allows one request a second is not faster for more at once."""

    def __init__(self, base_url: str, token: str, accounts: list[str] | None, searches: list[str] | None) -> None:
        self.client = Client(
            base_url,
            headers={"Authorization": f"Bearer {token.strip()}"},
            limit=Limit(*LIMIT),
            limit_header="X-RateLimit-Limit",
            reset_header="X-RateLimit-Reset",
        )
        self.paging, self.searches = Limit(*PAGING_LIMIT), searches or []
        self.handles = [handle.strip().removeprefix("@") for handle in accounts or []]
        self._ask = functools.lru_cache(KEPT_ANSWERS)(self._ask_server)

    def read(self, stream: Stream, window: Window) -> Iterator[Page | Gone]:
        """Yields the rows, and what is gone."""
        window.is_complete = False  # what is not among the newest is not gone
        self._own()
        match stream.name:
            case "accounts":
                yield from self._accounts(window)
            case "statuses":
                for found in self._walk(window, None):
                    yield found if isinstance(found, Gone) else _statuses_page(found)
            case "engagement":
                for found in self._walk(window, self.now - OPEN_FOR):
                    if isinstance(found, Found) and found.milestones:
                        yield _engagement_page(found)

    def check(self, stream: Stream) -> str:
        """Whose statuses are read, and what is searched for; raises SourceError if the token is wrong."""
        handles = [answer.json["acct"] for answer in map(self._account, self._own_handles())]
        return f"of {', '.join(handles)}" + (f"; found by {', '.join(self.searches)}" if self.searches else "")

    def close(self) -> None:
        """Closes the connections."""
        self._ask.cache_clear()
        self.client.close()

    # Accounts

    @functools.cached_property
    def _credentials(self) -> Answer | SourceError:
        """The token's own account; asked once, so that a server that is not to be had is waited for once."""
        try:
            return self.client.get("api/v1/accounts/verify_credentials", "acct")
        except Refused as error:
            server = self.client.base_url
            if error.status == 401:
                return SourceError(f"{server} does not know the token (401): correct SOURCES__MASTODON__TOKEN")
            if error.status in CLOSED:
                return NotEntitled(
                    f"{server} does not tell whose the token is: give it the scope read, or set "
                    f"SOURCES__MASTODON__ACCOUNTS. {error}"
                )
            return SourceError(f"{error}. Check the option base_url: it is to be a server with Mastodon's API")
        except SourceError as error:
            return error

    def _own(self) -> Answer | None:
        """The token's own account; None where it has none, as an app's, and the accounts are named. Raises SourceError
        if no request will get an answer."""
        answer = self._credentials
        if isinstance(answer, Answer):
            return answer
        if isinstance(answer, NotEntitled) and self.handles:
            return None
        raise answer

    @functools.cached_property
    def now(self) -> datetime:
        """What time it was for the server when reading began."""
        own = self._own()
        return own.served_at if own else datetime.now(UTC)

    def _own_handles(self) -> list[str]:
        own = self._own()
        return self.handles or [own.json["acct"]]

    def _account(self, handle: str) -> Answer:
        own = self._own()
        if own and handle == own.json["acct"]:
            return own
        return self._of_account(handle, lambda: self._get("api/v1/accounts/lookup", acct=handle))

    def _of_account(self, handle: str, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except Refused as error:
            if error.status not in GONE:
                raise
            raise AccountGone(
                f"there is no account {handle}: it was closed or suspended, or is misspelled. If it is to be left out, "
                f"correct SOURCES__MASTODON__ACCOUNTS. {error}"
            ) from error

    def _accounts(self, window: Window) -> Iterator[Page | Gone]:
        """The figures of every account, and which of those that once were there is gone."""
        ids: dict[str, str] = window.state.setdefault("ids", {})

        def read(handle: str) -> Iterator[Page | Gone]:
            began_at = datetime.now(UTC)
            try:
                answer = self._account(handle)
            except AccountGone:
                if handle in ids:
                    yield Gone([ids[handle]], began_at)
                raise
            ids[handle] = answer.json["id"]
            yield Page(items([answer.json], answer.path, "acct"), answer.observed_at)

        yield from _of_each({f"@{handle}": functools.partial(read, handle) for handle in self._own_handles()}, window)

    # Statuses

    def _walk(self, window: Window, not_before: datetime | None) -> Iterator[Found | Gone]:
        """The statuses that are new since the last time, in every part, those that came of age, and the threads of our
        own among them."""
        watch = Watch(window.state.setdefault("open", {}))
        read_until: dict[str, str] = window.state.setdefault("read_until", {})

        def read(part: Part) -> Iterator[Found]:
            since = window.since if window.is_partial else _moment(read_until.get(part.name)) or part.first
            since = max(filter(None, [since, not_before]), default=None)
            for answer, rows in part.pages():
                yield watch.see([status for _, status in rows if _is_asked_for(status, window)], answer)
                if since and all(moment < since for moment, _ in rows):
                    break
            read_until[part.name] = (self.now - LOOK_BACK).isoformat()

        parts = {part.name: functools.partial(read, part) for part in self._parts()}
        then = {"statuses that came of age": lambda: self._again(watch), "threads": lambda: self._threads(watch)}
        yield from _of_each(parts, window, {} if window.is_partial else then)
        window.reached = None if window.is_partial else self.now - LOOK_BACK

    def _parts(self) -> Iterator[Part]:
        for handle in self._own_handles():
            yield Part(f"@{handle}", functools.partial(self._written_by, handle), None)
        yield Part("mentions", self._mentions, None)
        for search in self.searches:
            pages = self._tagged if search.startswith("#") else self._searched
            yield Part(search, functools.partial(pages, search), self.now - OPEN_FOR)

    def _written_by(self, handle: str) -> Iterator[tuple[Answer, list]]:
        account_id = self._account(handle).json["id"]
        pages = self._pages(f"api/v1/accounts/{quote(account_id)}/statuses", limit=PAGE)
        while answer := self._of_account(handle, lambda: next(pages, None)):
            yield answer, _dated(answer.json)

    def _mentions(self) -> Iterator[tuple[Answer, list]]:
        """A notification is dated when it came, which may be long after the status was written."""
        parameters = {"types[]": "mention", "limit": NOTIFICATIONS_PAGE}
        for answer in self._pages("api/v1/notifications", **parameters):
            rows = [row for row in answer.json if row.get("type") == "mention" and row.get("status")]
            yield answer, [(_moment(row.get("created_at")) or self.now, row["status"]) for row in rows]

    def _tagged(self, search: str) -> Iterator[tuple[Answer, list]]:
        for answer in self._pages(f"api/v1/timelines/tag/{quote(search[1:], safe='')}", limit=PAGE):
            yield answer, _dated(answer.json)

    def _searched(self, search: str) -> Iterator[tuple[Answer, list]]:
        """Pages by offset: Mastodon takes max_id here for a day."""
        offset, before = 0, None
        while True:
            answer = self._get("api/v2/search", q=search, type="statuses", limit=PAGE, offset=offset)
            statuses = answer.json.get("statuses") if isinstance(answer.json, dict) else None
            if statuses is None:
                raise SourceError(f"{answer.path}: the answer has no statuses: {str(answer.json)[:200]}")
            ids = [status.get("id") for status in statuses]
            if ids and ids == before:
                raise SourceError(
                    f"{answer.path} repeats the page before it: the server does not page through its results"
                )
            if not ids:
                return
            yield answer, _dated(statuses)
            offset, before = offset + PAGE, ids

    def _again(self, watch: "Watch") -> Iterator[Found | Gone]:
        """The statuses that came of age and were in no list; those that the server no longer has are gone."""
        due = watch.due(self.now)
        for start in range(0, len(due), BATCH):
            ids = due[start : start + BATCH]
            try:
                answer = self._get("api/v1/statuses", **{"id[]": tuple(ids)})
                yield watch.see([status for status in _list(answer) if status.get("id") in ids], answer)
            except (Refused, NotEntitled):
                pass  # only Mastodon has this list, from 4.3 on; what it does not have is asked for one by one
            for key in ids:
                if key not in watch.seen:
                    yield self._one_again(key, watch)

    def _one_again(self, key: str, watch: "Watch") -> Found | Gone:
        began_at = datetime.now(UTC)
        try:
            answer = self._get(f"api/v1/statuses/{quote(key, safe='')}")
        except Refused as error:
            if error.status not in GONE:
                raise
            watch.forget(key)
            return Gone([key], began_at)
        return watch.see([answer.json], answer)

    def _threads(self, watch: "Watch") -> Iterator[Found]:
        """What was answered to our own statuses that were read, and to the answers."""
        own = {self._account(handle).json["id"] for handle in self._own_handles()}
        for key, account_id in list(watch.answered.items()):
            if account_id in own:
                try:
                    answer = self._get(f"api/v1/statuses/{quote(key, safe='')}/context")
                except Refused as error:
                    if error.status not in GONE:
                        raise
                    continue  # deleted a moment ago
                yield watch.see(answer.json["descendants"], answer)

    # Requests

    def _pages(self, path: str, **parameters: Any) -> Iterator[Answer]:
        """The pages of a list, from the newest on, each with the cursor that the Link header of the one before has."""
        following: dict[str, str] = {}
        cursors = set()
        while True:
            answer = self._get(path, **parameters, **following)
            _list(answer)
            yield answer
            following = {name: value for name, value in answer.next_query.items() if name not in parameters}
            if not following or not answer.json:
                return
            if (cursor := tuple(sorted(following.items()))) in cursors:
                raise SourceError(
                    f"{answer.path} names a page that was read already as the next one: the list does not end"
                )
            cursors.add(cursor)

    def _get(self, path: str, **parameters: Any) -> Answer:
        return self._ask(path, tuple(parameters.items()))

    def _ask_server(self, path: str, parameters: tuple[tuple[str, Any], ...]) -> Answer:
        if {"max_id", "offset"} & dict(parameters).keys():
            self.paging.wait()
        try:
            return self.client.get(path, **dict(parameters))
        except Refused as error:
            if error.status in CLOSED:
                raise NotEntitled(
                    f"not entitled: give the token the right, if the server grants it. {error}"
                ) from error
            raise


class Watch:
    """The statuses younger than 30 days: `open` has of each when it was written, and how many milestones are past.

    Of this run: `seen` are those that were read, `answered` those of them that have answers, with who wrote them.
    """

    def __init__(self, open_: dict[str, list[Any]]) -> None:
        self.open, self.seen, self.answered = open_, set(), {}

    def see(self, statuses: list[dict[str, Any]], answer: Answer) -> Found:
        """Notes that statuses were read, and tells which of them passed a milestone since they were read before.
        Private letters are none of ours to keep."""
        statuses = [status for status in statuses if status.get("visibility") != "direct"]
        milestones = {}
        for status in statuses:
            key, created_at = status.get("id"), _moment(status.get("created_at"))
            if not key or not created_at or status.get("reblog"):
                continue
            age = answer.served_at - created_at
            if key not in self.open and age > OPEN_FOR:
                continue
            self.seen.add(key)
            if status.get("replies_count"):
                self.answered[key] = (status.get("account") or {}).get("id")
            _, past = self.open.setdefault(key, [created_at.isoformat(), 0])
            if _past(age) > past:
                self.open[key][1] = _past(age)
                milestones[key] = list(MILESTONES)[_past(age) - 1]
            if _past(age) == len(MILESTONES):
                self.forget(key)
        return Found(statuses, milestones, answer)

    def due(self, now: datetime) -> list[str]:
        """Those that passed a milestone and were not read in this run, in order of their ids."""
        due = [
            key
            for key, (created_at, past) in self.open.items()
            if key not in self.seen and _past(now - datetime.fromisoformat(created_at)) > past
        ]
        return sorted(due, key=lambda key: (len(key), key))

    def forget(self, key: str) -> None:
        """It is old enough, or gone."""
        self.open.pop(key, None)


def _past(age: timedelta) -> int:
    return sum(age >= milestone for milestone in MILESTONES.values())


def _of_each(
    parts: dict[str, Callable[[], Iterable[Any]]],
    window: Window,
    then: Mapping[str, Callable[[], Iterable[Any]]] = types.MappingProxyType({}),
) -> Iterator[Any]:
    """What is read of each part, and `then`; one that can't be read stops no other, and one that the server does not
    show to the token is noted, unless those are all parts."""
    failures, refused = [], []
    for name, read in [*parts.items(), *then.items()]:
        try:
            yield from read()
        except NotEntitled as error:
            refused.append(f"nothing of {name}: {error}")
        except SourceError as error:
            failures.append(f"{name}: {error}")
        if len(refused) == len(parts):
            raise NotEntitled("; ".join(refused))
    window.notes += refused
    if failures:
        raise PartFailed("; ".join(failures))


def _statuses_page(found: Found) -> Page:
    rows = [{**status, "updated_at": status.get("edited_at") or status.get("created_at")} for status in found.statuses]
    return Page(items(rows, found.answer.path.partition("?")[0], "id"), found.answer.observed_at)


def _engagement_page(found: Found) -> Page:
    names = ("favourites_count", "reblogs_count", "replies_count", "quotes_count", "created_at")
    rows = [
        {
            "status_id": status["id"],
            "milestone": found.milestones[status["id"]],
            "measured_at": found.answer.served_at,
            **{name: status.get(name) for name in names},
        }
        for status in found.statuses
        if status.get("id") in found.milestones
    ]
    return Page(items(rows, found.answer.path.partition("?")[0], "status_id"), found.answer.observed_at)


def _list(answer: Answer) -> list[dict[str, Any]]:
    if not isinstance(answer.json, list):
        raise SourceError(f"{answer.path}: the answer is no list: {str(answer.json)[:200]}")
    return answer.json


def _dated(statuses: list[dict[str, Any]]) -> list[tuple[datetime, dict[str, Any]]]:
    """One without a date, which the contract rejects, bounds nothing."""
    newest = datetime.max.replace(tzinfo=UTC)
    return [(_moment(status.get("created_at")) or newest, status) for status in statuses]


def _is_asked_for(status: dict[str, Any], window: Window) -> bool:
    """Whether it was written between --since and --until, where those are given."""
    created_at = _moment(status.get("created_at"))
    is_early = created_at and window.is_partial and window.since and created_at < window.since
    return not is_early and not (created_at and window.until and created_at >= window.until)


def _moment(text: Any) -> datetime | None:
    """A time of the API's; None if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
