"""What the company's social life wrote on Mastodon, as the entities of Mastodon's API."""

import re
from datetime import datetime, timedelta
from html import escape

from sandbox.simulation import Row

HOST = "social.example"
BOOSTS = 7  # one of so many mentions is boosted by the company
WORD = re.compile(r"https://\S+|(?<!\w)@[\w.-]+@[\w.-]+\w|#\w+|\n\n+|\n")


class View:
    """The tables of the network as the API's entities; statuses from the oldest on, with what the company boosted."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        self.accounts = {row["key"]: _account(row) for row in tables["accounts"]}
        self.handles = {row["handle"]: self.accounts[row["key"]] for row in tables["accounts"]}
        self.own = next(self.accounts[row["key"]] for row in tables["accounts"] if row["is_own"])
        self.posts = {row["key"]: row for row in tables["posts"]}
        self.texts = {row["key"]: row["text"].lower() for row in tables["posts"]}
        self.statuses = {row["key"]: self._status(row) for row in tables["posts"]}
        newest = tables["posts"][-1]["created_at"] if tables["posts"] else ""
        for row in tables["posts"]:
            at = _iso(datetime.fromisoformat(row["created_at"]) + timedelta(hours=1))
            if row["kind"] == "mention" and int(row["key"]) % BOOSTS == 0 and at < newest:
                self._boost(self.statuses[row["key"]], at)
        self.statuses = dict(sorted(self.statuses.items(), key=lambda item: int(item[0])))

    def _status(self, row: Row) -> Row:
        author, parent = self.accounts[row["author"]], self.posts.get(row["reply_to"])
        was_answer = self.own["id"] if row["kind"] == "reply" else None  # to a post that is deleted: its account stays
        return _SILENT | {
            "id": row["key"], "created_at": row["created_at"], "edited_at": row["edited_at"], "account": author,
            "uri": f"{author['uri']}/statuses/{row['key']}", "url": f"{author['url']}/{row['key']}",
            "in_reply_to_id": parent and parent["key"],
            "in_reply_to_account_id": parent["author"] if parent else was_answer,
            "language": (row["languages"] or [None])[0], "content": self._html(row["text"]),
            "mentions": [{name: self.accounts[key][name] for name in ("id", "username", "url", "acct")}
                         for key in row["mentions"] if key in self.accounts],
            "tags": [{"name": tag.lower(), "url": f"https://{HOST}/tags/{tag.lower()}"} for tag in row["tags"]],
            "favourites_count": row["likes"], "reblogs_count": row["reposts"], "quotes_count": row["quotes"],
            "replies_count": row["replies"],
        }  # fmt: skip

    def _boost(self, status: Row, at: str) -> None:
        key = str(int(status["id"]) + (3_600_000 << 16))
        self.statuses[key] = status | {
            "id": key, "created_at": at, "account": self.own,
            "uri": f"{self.own['uri']}/statuses/{key}/activity", "url": None, "reblog": status, "edited_at": None,
            "in_reply_to_id": None, "in_reply_to_account_id": None, "favourites_count": 0, "quotes_count": 0,
            "replies_count": 0,
        }  # fmt: skip

    def _html(self, text: str) -> str:
        """The text with links, as Mastodon shows it."""

        def mark(match: re.Match) -> str:
            word = match[0]
            if word.startswith("\n"):
                return "</p><p>" if len(word) > 1 else "<br />"
            if word.startswith("@"):
                if not (account := self.handles.get(word[1:])):
                    return escape(word)
                link = f'<a href="{account["url"]}" class="u-url mention">@<span>{account["username"]}</span></a>'
                return f'<span class="h-card" translate="no">{link}</span>'
            if word.startswith("#"):
                link = f"https://{HOST}/tags/{escape(word[1:])}"
                return f'<a href="{link}" class="mention hashtag" rel="tag">#<span>{escape(word[1:])}</span></a>'
            shown = escape(word.removeprefix("https://"))
            return (
                f'<a href="{escape(word)}" rel="nofollow noopener"><span class="invisible">https://</span>{shown}</a>'
            )

        words, parts = WORD.finditer(text), map(escape, WORD.split(text))
        return f"<p>{''.join(part + mark(word) if (word := next(words, None)) else part for part in parts)}</p>"


_SILENT = {
    "sensitive": False, "spoiler_text": "", "visibility": "public", "reblog": None, "media_attachments": [],
    "emojis": [], "card": None, "poll": None, "favourited": False, "reblogged": False, "muted": False,
    "bookmarked": False, "filtered": [],
}  # fmt: skip


def _account(row: Row) -> Row:
    name, _, host = row["handle"].partition("@")
    picture = f"https://{HOST}/avatars/original/missing.png"
    return {
        "id": row["key"], "username": name, "acct": name if host == HOST else row["handle"],
        "display_name": row["name"], "note": f"<p>{escape(row['about'])}</p>", "url": f"https://{host}/@{name}",
        "uri": f"https://{host}/users/{name}", "locked": False, "bot": row["is_bot"], "discoverable": True,
        "indexable": True, "group": False, "created_at": f"{row['created_at'][:10]}T00:00:00.000Z",
        "avatar": picture, "avatar_static": picture, "header": picture, "header_static": picture, "emojis": [],
        "fields": [], "followers_count": row["followers"], "following_count": row["following"],
        "statuses_count": row["posts"], "last_status_at": None,
    }  # fmt: skip


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
