"""Reading Bluesky's API (AT Protocol, XRPC): feeds, notifications and searches from the newest post on, the threads of
our own posts, and the posts that we know already, asked for by their uris."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from ingestion.contract import items
from ingestion.errors import PartFailed, SourceError, explain, keep_secret
from ingestion.http import Answer, Client, Limit, Refused
from ingestion.social import ALL, MOST_FAILED, OPEN_FOR, as_time, due, is_within, milestone
from ingestion.stream import Gone, Page, Recheck, Stream, Window

LOOK_BACK = timedelta(days=1)
"""How far the index of searches and notifications may be behind: so much of what was read is read again."""

REASONS = ("mention", "reply", "quote")
"""Notifications of posts; likes, reposts and followers are counted elsewhere."""

PAGE, BATCH = 100, 25
"""The most that the lexicons allow: rows in a page, and uris or actors that may be asked for at once."""

DEPTH = 100
"""Levels of answers to a post."""

LIMIT = (3000, 300)
"""Requests and seconds, of one address."""

COUNTERS = ("likeCount", "repostCount", "replyCount", "quoteCount")

Found = Iterator[tuple[Answer, list[dict[str, Any]]]]
"""Answers, and the views of posts (app.bsky.feed.defs#postView) in them."""


class Reader:
    """One session for all streams. The posts' counters come with the posts: what of them is to be noted as engagement
    is kept until that stream is read, after the posts."""

    def __init__(
        self,
        identifier: str,
        password: str,
        base_url: str,
        accounts: list[str] | None,
        searches: list[str] | None,
    ) -> None:
        url = f"{base_url.rstrip('/')}/xrpc"
        limits = {"limit_header": "RateLimit-Limit", "reset_header": "RateLimit-Reset"}
        self.client = Client(url, limit=Limit(*LIMIT), **limits)
        self.sessions = Client(url, **limits)  # limited apart from the others, and without their token
        keep_secret([password.strip()])
        self.login = {"identifier": identifier.strip().removeprefix("@"), "password": password.strip()}
        self.handles = [name.strip().removeprefix("@") for name in accounts or ()]
        self.searches = searches or []
        self.session: Answer | SourceError | None = None
        self.profiles: Answer | None = None
        self.engagement: list[Page] | None = None

    def read(self, stream: Stream, window: Window) -> Iterator[Page | Recheck | Gone]:
        """Yields what is new since the last run, and what became of the posts that are known."""
        self._log_in()
        read = {"accounts": self._accounts, "posts": self._posts, "engagement": self._engagement}[stream.name]
        yield from read(window)

    def check(self, stream: Stream) -> str:
        """Logs in, and says whose posts there are."""
        self._log_in()
        profiles = self._own()
        if stream.name == "accounts":
            return f"{len(profiles)} accounts"
        posts = sum(int(profile.get("postsCount") or 0) for profile in profiles)
        return f"{posts:,} posts of {', '.join(str(profile['handle']) for profile in profiles)}"

    def close(self) -> None:
        """Closes the connections; the session ends by itself."""
        self.client.close()
        self.sessions.close()

    # Accounts

    def _accounts(self, window: Window) -> Iterator[Page | Gone]:
        """The figures of every account, and which of those that once were there is gone. One that is no longer named
        stays: its posts are still ours."""
        window.is_complete = False
        dids: dict[str, str] = window.state.setdefault("dids", {})
        profiles = self._own()
        yield Page(items(profiles, "app.bsky.actor.getProfiles", "did"), self.profiles.observed_at)
        found = {str(profile.get(name)).lower(): profile["did"] for profile in profiles for name in ("did", "handle")}
        names = [name.lower() for name in self._names()]
        missing = [name for name in names if name not in found]
        if gone := [dids[name] for name in missing if name in dids]:
            yield Gone(gone, self.profiles.observed_at)
        dids |= {name: found[name] for name in names if name in found}
        if missing:
            raise PartFailed(
                f"there is no account {', '.join(missing)}: it was deleted, deactivated or taken down, or is "
                "misspelled. If it is to be left out, correct SOURCES__BLUESKY__ACCOUNTS"
            )

    def _own(self) -> list[dict[str, Any]]:
        """The profiles of our accounts, as far as they are there; asked for once."""
        if self.profiles is None:
            profiles, names = [], self._names()
            for start in range(0, len(names), BATCH):
                answer = self._get("app.bsky.actor.getProfiles", "profiles", actors=names[start : start + BATCH])
                profiles += answer.json["profiles"]
            self.profiles = dataclasses.replace(answer, json=profiles)
        return self.profiles.json

    def _names(self) -> list[str]:
        """Our accounts, as the user calls them; the one that logged in if there are none."""
        return self.handles or [self.session.json["did"]]

    # Posts

    def _posts(self, window: Window) -> Iterator[Page | Recheck]:
        """Every part goes on where it was left; one that can't be read stops no other."""
        window.is_complete, self.engagement = False, []
        read_until: dict[str, str] = window.state.setdefault("read_until", {})
        answered: dict[str, None] = {}  # posts of ours
        failures: list[str] = []
        for name, pages in self._parts(answered).items():
            since = window.since if window.is_partial else as_time(read_until.get(name))
            try:
                for answer, views in pages(since):
                    yield self._page(views, answer, since, window)
            except Exception as error:  # whatever it is, the others are read
                failures.append(f"{name}: {explain(error)}")
            else:
                read_until[name] = self._now().isoformat()
        if not window.is_partial:
            since = as_time(read_until.get("known"))
            wanted = due("indexed_at", since, window, self._now())
            yield Recheck(datetime.now(UTC), wanted, lambda keys: self._again(keys, since, window, failures))
            read_until["known"] = self._now().isoformat()
            if wanted == ALL:
                window.state["swept_at"] = self._now().isoformat()
            window.reached = self._now()
        if failures:
            raise PartFailed("; ".join(failures))

    def _parts(self, answered: dict[str, None]) -> dict[str, Callable[[datetime | None], Found]]:
        def feed(did: str) -> Callable[[datetime | None], Found]:
            return lambda since: self._feed(did, since, answered)

        def search(query: str) -> Callable[[datetime | None], Found]:
            return lambda since: self._search(query, since)

        return {
            **{f"@{profile['did']}": feed(profile["did"]) for profile in self._own()},
            "notifications": self._notifications,
            **{f"search for {query}": search(query) for query in self.searches},
            "threads": lambda since: self._threads(answered),
        }

    def _feed(self, did: str, since: datetime | None, answered: dict[str, None]) -> Found:
        """What an account wrote, answers too; what it reposted is not its own. In every run 30 days of it."""
        for answer in self._pages("app.bsky.feed.getAuthorFeed", "feed", actor=did, filter="posts_with_replies"):
            views = [item.get("post") or {} for item in answer.json["feed"]]
            views = [view for view in views if (view.get("author") or {}).get("did") == did]
            open_ = [view for view in views if not (since and _is_before(view, since - OPEN_FOR))]
            answered.update({view["uri"]: None for view in open_ if view.get("replyCount")})
            yield answer, views
            if views and not open_:
                return

    def _notifications(self, since: datetime | None) -> Found:
        """The posts that the session's account was told of."""
        for answer in self._pages("app.bsky.notification.listNotifications", "notifications", reasons=REASONS):
            rows = answer.json["notifications"]
            yield from self._views([row["uri"] for row in rows if row.get("reason") in REASONS])
            if since and rows and _is_before(rows[-1], since - LOOK_BACK):
                return

    def _search(self, query: str, since: datetime | None) -> Found:
        """What a search finds. Its cursor may end before its results do, so what is older than the last one found is
        searched for again, until that gives nothing new."""
        bounds = {"since": _iso(since - LOOK_BACK)} if since else {}
        until, seen = self._now(), set()
        while until:
            last, before = None, len(seen)
            parameters = {"q": query, "sort": "latest", "until": _iso(until), **bounds}
            for answer in self._pages("app.bsky.feed.searchPosts", "posts", **parameters):
                views = answer.json["posts"]
                seen.update(view.get("uri") for view in views)
                yield answer, views
                last = _sorted_at(views[-1]) if views else last
            # The bound is not included, and others may be of the same moment.
            until = last + timedelta(milliseconds=1) if last and len(seen) > before else None

    def _threads(self, answered: dict[str, None]) -> Found:
        """The answers to posts of ours, and the answers to those. A thread that can't be read stops no other."""
        failed: list[str] = []
        for uri in answered:
            try:
                answer = self._get("app.bsky.feed.getPostThread", "thread", uri=uri, depth=DEPTH, parentHeight=0)
            except SourceError as error:
                if isinstance(error, Refused) and "NotFound" in str(error):
                    continue  # deleted a moment ago
                failed.append(explain(error))
                if len(failed) == MOST_FAILED:
                    break
            else:
                yield answer, list(_answers(answer.json["thread"]))
        if failed:
            raise PartFailed("; ".join(failed))

    def _views(self, uris: list[str]) -> Found:
        """The posts with these uris, as far as they are there."""
        for start in range(0, len(uris), BATCH):
            answer = self._get("app.bsky.feed.getPosts", "posts", uris=uris[start : start + BATCH])
            yield answer, answer.json["posts"]

    def _again(self, keys: Any, since: datetime | None, window: Window, failures: list[str]) -> Iterator[Page]:
        """The known posts that are still there. The stream ends here if that can't be told, since what is not yielded
        is gone."""
        try:
            for answer, views in self._views(keys["uri"].to_pylist()):
                yield self._page(views, answer, since, window)
        except Exception as error:
            raise PartFailed("; ".join([*failures, f"known posts: {explain(error)}"])) from error

    def _page(self, views: list[dict[str, Any]], answer: Answer, since: datetime | None, window: Window) -> Page:
        """The posts in an answer, those that were asked for; puts aside what is engagement."""
        if window.is_partial:
            views = [view for view in views if is_within(as_time(view.get("indexedAt")), window)]
        method = answer.path.partition("?")[0].rpartition("/")[2]
        rows = [row for view in views if (row := _reading(view, answer, since))]
        self.engagement.append(Page(items(rows, method, "uri"), answer.observed_at))
        return Page(items(views, method, "uri"), answer.observed_at)

    def _engagement(self, window: Window) -> Iterator[Page]:
        if self.engagement is None:
            raise SourceError("the counters come with the posts, which were not read: see the stream posts")
        window.reached = None if window.is_partial else self._now()
        yield from self.engagement

    # Requests

    def _pages(self, method: str, member: str, **parameters: Any) -> Iterator[Answer]:
        cursors, following = set(), {}
        while True:
            answer = self._get(method, member, limit=PAGE, **parameters, **following)
            yield answer
            cursor = answer.json.get("cursor")
            if not cursor:
                return
            if cursor in cursors:
                raise SourceError(f"{answer.path} gives a cursor that it gave before: the list does not end")
            cursors.add(cursor)
            following = {"cursor": cursor}

    def _get(self, method: str, member: str, **parameters: Any) -> Answer:
        """An answer; should the token have expired meanwhile, with a new one."""
        try:
            return self.client.get(method, member, **parameters)
        except Refused as error:
            if error.status != 401 and "ExpiredToken" not in str(error):
                raise
        self._refresh()
        return self.client.get(method, member, **parameters)

    def _log_in(self) -> None:
        """Opens a session, once; sessions are limited more than all else."""
        if self.session is None:
            try:
                self._use(self.sessions.post("com.atproto.server.createSession", self.login, "accessJwt"))
            except SourceError as error:
                self.session = _of_login(error)
        if isinstance(self.session, SourceError):
            raise self.session

    def _refresh(self) -> None:
        self.sessions.session.headers["Authorization"] = f"Bearer {self.session.json['refreshJwt']}"
        try:
            self._use(self.sessions.post("com.atproto.server.refreshSession", None, "accessJwt"))
        except SourceError as error:
            raise SourceError(f"the session ended and could not be renewed. Try again. {error}") from error

    def _use(self, session: Answer) -> None:
        keep_secret([session.json["accessJwt"], session.json["refreshJwt"]])
        if session.json.get("active") is False:
            status = session.json.get("status") or "not active"
            raise SourceError(f"the account {session.json.get('handle')} is {status}: log in with one that is active")
        self.client.session.headers["Authorization"] = f"Bearer {session.json['accessJwt']}"
        self.session = self.session or session
        self.session.json |= session.json

    def _now(self) -> datetime:
        """What time it was for the server when the session began."""
        return self.session.served_at


def _of_login(error: SourceError) -> SourceError:
    """What a person should do about a session that was refused."""
    if not isinstance(error, Refused):
        return error
    if "AuthFactorTokenRequired" in str(error):
        return SourceError("Bluesky wants a second factor: give an app password in SOURCES__BLUESKY__PASSWORD")
    if error.status == 401:
        return SourceError(
            "Bluesky does not know the account or its app password (it answers 401): correct "
            "SOURCES__BLUESKY__IDENTIFIER and SOURCES__BLUESKY__PASSWORD"
        )
    return SourceError(f"no session: check SOURCES__BLUESKY__BASE_URL and the account. {error}")


def _reading(view: dict[str, Any], answer: Answer, since: datetime | None) -> dict[str, Any] | None:
    """The counters of a post, if it came of an age since it was last looked at; those of earlier ages were missed."""
    published_at = _sorted_at(view)
    if not published_at:
        return None
    found_at = max(filter(None, [published_at, as_time(view.get("indexedAt"))]))
    if not (age := milestone(published_at, found_at, answer.served_at, since)):
        return None
    own = {"uri": view.get("uri"), "milestone": age, "published_at": published_at, "measured_at": answer.served_at}
    return own | {name: view.get(name) for name in COUNTERS}


def _answers(thread: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The posts below one; what is deleted or blocked is none."""
    waiting = [thread]
    while waiting:
        for reply in waiting.pop().get("replies") or ():
            if "post" in reply:
                yield reply["post"]
                waiting.append(reply)


def _sorted_at(view: dict[str, Any]) -> datetime | None:
    """When a post was written by its author's clock, or reached the network if that was earlier, as searches sort."""
    times = [as_time((view.get("record") or {}).get("createdAt")), as_time(view.get("indexedAt"))]
    return min(filter(None, times), default=None)


def _is_before(row: dict[str, Any], bound: datetime) -> bool:
    moment = as_time(row.get("indexedAt"))
    return moment is not None and moment < bound


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
