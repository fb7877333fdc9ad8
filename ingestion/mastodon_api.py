"""Reading Mastodon's API: lists from the newest status on, the threads of our own statuses, and the statuses that we
know already, asked for by their ids."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from ingestion.contract import items
from ingestion.errors import PartFailed, SourceError, explain, keep_secret
from ingestion.http import Answer, Client, Limit, Refused
from ingestion.social import ALL, MOST_FAILED, OPEN_FOR, as_time, due, is_within, milestone
from ingestion.stream import Gone, Page, Recheck, Stream, Window

HISTORY = timedelta(days=365)
"""How far back a search goes at first: a hashtag may have no end."""

LOOK_BACK = timedelta(days=1)
"""Of what was read up to a moment, so much is read again: what other servers deliver late has its old place."""

LIMIT, PAGING_LIMIT = (300, 300), (300, 900)
"""Requests and seconds, of one token, and of those that ask for a page beyond the first (Mastodon's rack_attack)."""

PAGE, NOTIFICATIONS_PAGE, BATCH = 40, 80, 20
"""Statuses and notifications in a page, and statuses asked for by id at once: the most that Mastodon gives."""

COUNTERS = ("favourites_count", "reblogs_count", "replies_count", "quotes_count")

GONE, CLOSED = (404, 410), (401, 403, 422)
"""What a server answers for what is not there, and for what it does not show to the token."""

Row = dict[str, Any]
Pages = Iterator[tuple[Answer, list[tuple[datetime, Row]]]]
"""Answers, and the statuses in them, each with the moment by which the list is sorted."""


class NotEntitled(SourceError):
    """The server does not show this to the token."""


class AccountGone(SourceError):
    """An account of ours is not there."""


class Part(NamedTuple):
    """A list of statuses from the newest on; at first it is read as far back as `first`."""

    name: str
    pages: Callable[[], Pages]
    first: datetime | None = None


class Reader:
    """Reads one stream after the other: a server that allows one request a second is not faster for more at once.

    The statuses' counters come with the statuses: what of them is to be noted as engagement is kept until that stream
    is read, after the statuses.
    """

    def __init__(self, base_url: str, token: str, accounts: list[str] | None, searches: list[str] | None) -> None:
        keep_secret([token.strip()])
        self.client = Client(
            base_url,
            headers={"Authorization": f"Bearer {token.strip()}"},
            limit=Limit(*LIMIT),
            limit_header="X-RateLimit-Limit",
            reset_header="X-RateLimit-Reset",
        )
        self.paging, self.searches = Limit(*PAGING_LIMIT), searches or []
        self.handles = [handle.strip().removeprefix("@") for handle in accounts or []]
        self.credentials: Answer | SourceError | None = None
        self.profiles: dict[str, Answer] = {}
        self.engagement: list[Page] | None = None

    def read(self, stream: Stream, window: Window) -> Iterator[Page | Recheck | Gone]:
        """Yields what is new since the last run, and what became of the statuses that are known."""
        self._log_in()
        window.is_complete = False  # what is not among the newest is not gone
        read = {"accounts": self._accounts, "statuses": self._statuses, "engagement": self._engagement}[stream.name]
        yield from read(window)

    def check(self, stream: Stream) -> str:
        """How many statuses our accounts have; raises SourceError if the token or an account is wrong."""
        self._log_in()
        profiles = [self._profile(handle).json for handle in self.handles]
        count = sum(int(profile.get("statuses_count") or 0) for profile in profiles)
        return f"{count:,} statuses of {', '.join(self.handles)}"

    def close(self) -> None:
        """Closes the connections."""
        self.client.close()

    # Accounts

    def _log_in(self) -> None:
        """Asks whose the token is; once, so that a server that is not to be had is waited for once."""
        if self.credentials is None:
            try:
                self.credentials = self.client.get("api/v1/accounts/verify_credentials", "acct")
            except Refused as error:
                self.credentials = _of_token(error, self.client.base_url)
            except SourceError as error:
                self.credentials = error
        if isinstance(self.credentials, Answer):
            handle = self.credentials.json["acct"]
            self.profiles[handle] = self.credentials
            self.handles = self.handles or [handle]
        elif not (isinstance(self.credentials, NotEntitled) and self.handles):  # a token of an app has no account
            raise self.credentials

    def _now(self) -> datetime:
        """What time it was for the server when reading began."""
        return self.credentials.served_at if isinstance(self.credentials, Answer) else datetime.now(UTC)

    def _profile(self, handle: str) -> Answer:
        if handle not in self.profiles:
            self.profiles[handle] = _of_account(handle, lambda: self._get("api/v1/accounts/lookup", acct=handle))
        return self.profiles[handle]

    def _accounts(self, window: Window) -> Iterator[Page | Gone]:
        """The figures of every account, and which of those that once were there is gone."""
        ids: dict[str, str] = window.state.setdefault("ids", {})
        failures = []
        for handle in self.handles:
            began_at = datetime.now(UTC)
            try:
                answer = self._profile(handle)
            except SourceError as error:
                failures.append(str(error))
                if isinstance(error, AccountGone) and handle in ids:
                    yield Gone([ids[handle]], began_at)
            else:
                ids[handle] = str(answer.json.get("id"))
                yield Page(items([answer.json], "accounts", "acct"), answer.observed_at)
        if failures:
            raise PartFailed("; ".join(failures))

    # Statuses

    def _statuses(self, window: Window) -> Iterator[Page | Recheck]:
        """Every part goes on where it was left; one that can't be read stops no other, and one that the server does not
        show to the token is noted, unless that is all of them."""
        self.engagement = []
        read_until: dict[str, str] = window.state.setdefault("read_until", {})
        parts, answered = list(self._parts()), dict[str, None]()  # answered: statuses of ours
        failures, refused = [], {}
        threads = Part("threads", lambda: self._threads(answered))
        for part in [*parts, threads]:
            since = window.since if window.is_partial else as_time(read_until.get(part.name))
            bound = since if window.is_partial else since - LOOK_BACK if since else part.first
            noted = {} if part is threads else answered
            try:
                for answer, rows in part.pages():
                    yield self._page([status for _, status in rows], answer, since, window, noted)
                    if bound and rows and part is not threads and all(moment < bound for moment, _ in rows):
                        break
            except NotEntitled as error:
                refused[part.name] = f"nothing of {part.name}: {error}"
            except Exception as error:  # whatever is odd about it, the others are read
                failures.append(f"{part.name}: {explain(error)}")
            else:
                read_until[part.name] = self._now().isoformat()
        if refused.keys() >= {part.name for part in parts}:
            raise NotEntitled("; ".join(refused.values()))
        window.notes += refused.values()
        if not window.is_partial:
            since = as_time(read_until.get("known"))
            wanted = due("created_at", since, window, self._now())
            yield Recheck(
                datetime.now(UTC),
                wanted,
                lambda keys: self._again(keys["status_id"].to_pylist(), since, window, failures),
            )
            read_until["known"] = self._now().isoformat()
            if wanted == ALL:
                window.state["swept_at"] = self._now().isoformat()
            window.reached = self._now()
        if failures:
            raise PartFailed("; ".join(failures))

    def _parts(self) -> Iterator[Part]:
        for handle in self.handles:
            yield Part(f"@{handle}", lambda handle=handle: self._written_by(handle))
        yield Part("mentions", self._mentions)
        for search in self.searches:
            pages = self._tagged if search.startswith("#") else self._found
            yield Part(f"search for {search}", lambda pages=pages, term=search: pages(term), self._now() - HISTORY)

    def _written_by(self, handle: str) -> Pages:
        key = quote(str(self._profile(handle).json["id"]), safe="")
        pages = self._pages(f"api/v1/accounts/{key}/statuses", limit=PAGE)
        while answer := _of_account(handle, lambda: next(pages, None)):
            yield answer, _dated(answer.json)

    def _mentions(self) -> Pages:
        """A notification is dated when it came, which may be long after the status was written."""
        for answer in self._pages("api/v1/notifications", limit=NOTIFICATIONS_PAGE, **{"types[]": "mention"}):
            rows = [row for row in answer.json if row.get("type") == "mention" and row.get("status")]
            yield answer, [(as_time(row.get("created_at")) or self._now(), row["status"]) for row in rows]

    def _tagged(self, search: str) -> Pages:
        for answer in self._pages(f"api/v1/timelines/tag/{quote(search[1:], safe='')}", limit=PAGE):
            yield answer, _dated(answer.json)

    def _found(self, search: str) -> Pages:
        """Pages by offset, as max_id means a time here; what is new meanwhile moves the others on, and hides none."""
        offset, before = 0, None
        while True:
            answer = self._get("api/v2/search", q=search, type="statuses", limit=PAGE, offset=offset)
            statuses = _list(answer, "statuses")
            if not statuses:
                return
            if (ids := [status.get("id") for status in statuses]) == before:
                raise SourceError(f"{answer.path} repeats the page before it: the server can't page through results")
            yield answer, _dated(statuses)
            offset, before = offset + PAGE, ids

    def _threads(self, answered: dict[str, None]) -> Pages:
        """What was answered to our own statuses, and to the answers. A thread that can't be read stops no other."""
        failed: list[str] = []
        while answered and len(failed) < MOST_FAILED:
            key, _ = answered.popitem()
            try:
                answer = self._one(f"{quote(key, safe='')}/context")
                rows = _dated(_list(answer, "descendants")) if answer else []  # or deleted a moment ago
            except NotEntitled:
                raise
            except SourceError as error:
                failed.append(explain(error))
            else:
                if answer:
                    yield answer, rows
        if failed:
            raise PartFailed("; ".join(failed))

    def _again(self, keys: list[str], since: datetime | None, window: Window, failures: list[str]) -> Iterator[Page]:
        """The known statuses that are still there. The stream ends here if that can't be told, since what is not
        yielded is gone."""
        keys.sort(key=lambda key: (len(key), key))
        answered: dict[str, None] = {}
        try:
            for start in range(0, len(keys), BATCH):
                for statuses, answer in self._by_ids(keys[start : start + BATCH]):
                    yield self._page(statuses, answer, since, window, answered)
            for answer, rows in self._threads(answered):
                yield self._page([status for _, status in rows], answer, since, window, {})
        except Exception as error:
            raise PartFailed("; ".join([*failures, f"known statuses: {explain(error)}"])) from error

    def _by_ids(self, keys: list[str]) -> Iterator[tuple[list[Row], Answer]]:
        """The statuses of these ids. Only Mastodon has a list of them, from 4.3 on; what is not in it is asked for
        singly."""
        missing = dict.fromkeys(keys)
        with contextlib.suppress(Refused, NotEntitled):
            answer = self._get("api/v1/statuses", **{"id[]": keys})
            statuses = [status for status in _list(answer) if status.get("id") in missing]
            for status in statuses:
                missing.pop(status["id"], None)
            yield statuses, answer
        for key in missing:
            if answer := self._one(quote(key, safe="")):
                yield [answer.json], answer

    def _one(self, path: str) -> Answer | None:
        """What the server has of one status; None if that is not there."""
        try:
            return self._get(f"api/v1/statuses/{path}")
        except Refused as error:
            if error.status in GONE:
                return None
            raise

    def _page(
        self, statuses: list[Row], answer: Answer, since: datetime | None, window: Window, answered: dict[str, None]
    ) -> Page:
        """The statuses in an answer, those that were asked for; puts aside what is engagement, and notes which of ours
        were answered. Private letters are none of ours to keep."""
        statuses = [
            status
            for status in statuses
            if status.get("visibility") != "direct" and is_within(as_time(status.get("created_at")), window)
        ]
        path = answer.path.partition("?")[0]
        rows = [row for status in statuses if (row := _engagement(status, answer, since))]
        self.engagement.append(Page(items(rows, path, "status_id"), answer.observed_at))
        own = {self.profiles[handle].json.get("id") for handle in self.handles if handle in self.profiles}
        open_since = (since or self._now()) - OPEN_FOR
        for status in statuses:
            is_own = status.get("id") and (status.get("account") or {}).get("id") in own
            is_open = (as_time(status.get("created_at")) or self._now()) >= open_since
            if is_own and is_open and status.get("replies_count") and not status.get("reblog"):
                answered[status["id"]] = None
        rows = [{**status, "updated_at": status.get("edited_at") or status.get("created_at")} for status in statuses]
        return Page(items(rows, path, "id"), answer.observed_at)

    def _engagement(self, window: Window) -> Iterator[Page]:
        if self.engagement is None:
            raise SourceError("the counters come with the statuses, which were not read: see the stream statuses")
        window.reached = None if window.is_partial else self._now()
        yield from self.engagement

    # Requests

    def _pages(self, path: str, **parameters: Any) -> Iterator[Answer]:
        """The pages of a list, each with the cursor that the Link header of the one before has."""
        following: dict[str, str] = {}
        cursors = set()
        while True:
            answer = self._get(path, **parameters, **following)
            rows = _list(answer)
            yield answer
            following = {name: value for name, value in answer.next_query.items() if name not in parameters}
            if not following or not rows:
                return
            if (cursor := tuple(sorted(following.items()))) in cursors:
                raise SourceError(f"{answer.path} gives a cursor that was given before: the list does not end")
            cursors.add(cursor)

    def _get(self, path: str, **parameters: Any) -> Answer:
        if parameters.get("max_id") or parameters.get("offset"):
            self.paging.wait()
        try:
            return self.client.get(path, **parameters)
        except Refused as error:
            if error.status in CLOSED:
                raise NotEntitled(f"not entitled: the server does not show it to this token. {error}") from error
            raise


def _of_token(error: Refused, server: str) -> SourceError:
    """What a person should do about a token that was refused."""
    if error.status == 401:
        return SourceError(f"{server} does not know the token (it answers 401): correct SOURCES__MASTODON__TOKEN")
    if error.status in CLOSED:
        return NotEntitled(
            f"{server} does not tell whose the token is: give it the scope read, or set SOURCES__MASTODON__ACCOUNTS. "
            f"{error}"
        )
    return SourceError(f"{error}. Check the option base_url: it is to be a server with Mastodon's API")


def _of_account(handle: str, ask: Callable[[], Any]) -> Any:
    """What is asked for of an account; raises AccountGone if that is not there."""
    try:
        return ask()
    except Refused as error:
        if error.status not in GONE:
            raise
        raise AccountGone(
            f"there is no account {handle}: it was closed or suspended, or is misspelled. If it is to be left out, "
            f"correct SOURCES__MASTODON__ACCOUNTS. {error}"
        ) from error


def _engagement(status: Row, answer: Answer, since: datetime | None) -> Row | None:
    """The counters of a status, if it came of an age since it was last looked at; those of earlier ages were missed."""
    created_at = as_time(status.get("created_at"))
    if not created_at or status.get("reblog"):
        return None
    if not (age := milestone(created_at, created_at, answer.served_at, since)):
        return None
    own = {"status_id": status.get("id"), "milestone": age, "measured_at": answer.served_at}
    return own | {name: status.get(name) for name in (*COUNTERS, "created_at")}


def _list(answer: Answer, member: str = "") -> list[Row]:
    """The answer, or its member, which is to be a list."""
    rows = answer.json.get(member) if member and isinstance(answer.json, dict) else answer.json
    if not isinstance(rows, list):
        raise SourceError(f"{answer.path}: the answer is no list: {str(answer.json)[:200]}")
    return rows


def _dated(statuses: list[Row]) -> list[tuple[datetime, Row]]:
    """One without a date, which the contract rejects, bounds nothing."""
    newest = datetime.max.replace(tzinfo=UTC)
    return [(as_time(status.get("created_at")) or newest, status) for status in statuses]
