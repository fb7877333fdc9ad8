"""The posts and accounts of the company's social life as Bluesky's API shows them: records and views of them."""

from base64 import b32encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sandbox.simulation import Row

POST = "app.bsky.feed.post"


class View:
    """`posts` (by uri, oldest first: app.bsky.feed.defs#postView) and their `kinds`, `accounts` (by DID:
    app.bsky.actor.defs#profileViewDetailed), and `children` (uris of the answers to a uri)."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        rows = {row["key"]: row for row in tables["posts"]}
        self.accounts = {row["key"]: _profile(row) for row in tables["accounts"]}
        self.own = next(row["key"] for row in tables["accounts"] if row["is_own"])
        self.kinds = {key: row["kind"] for key, row in rows.items()}
        self.posts = {key: _post(row, rows, self.accounts) for key, row in rows.items()}
        self.children: dict[str, list[str]] = {}
        for key, row in rows.items():
            self.children.setdefault(row["reply_to"], []).append(key)


def basic(profile: Row) -> Row:
    """A profile as it is shown beside a post."""
    return {name: profile[name] for name in ("did", "handle", "displayName", "createdAt", "labels")}


def _profile(row: Row) -> Row:
    return {
        "did": row["key"], "handle": row["handle"], "displayName": row["name"], "description": row["about"],
        "followersCount": row["followers"], "followsCount": row["following"], "postsCount": row["posts"],
        "createdAt": row["created_at"], "indexedAt": row["created_at"], "labels": [],
    }  # fmt: skip


def _post(row: Row, rows: dict[str, Row], accounts: dict[str, Row]) -> Row:
    record: Row = {"$type": POST, "text": row["text"], "createdAt": row["created_at"]}
    if row["languages"]:
        record["langs"] = row["languages"]
    if facets := _facets(row, accounts):
        record["facets"] = facets
    if row["reply_to"]:
        root = row["reply_to"]
        while root in rows and rows[root]["reply_to"]:
            root = rows[root]["reply_to"]
        record["reply"] = {"root": _reference(root), "parent": _reference(row["reply_to"])}
    view = {
        "uri": row["key"], "cid": _cid(row["key"]), "author": basic(accounts[row["author"]]), "record": record,
        "likeCount": row["likes"], "repostCount": row["reposts"], "quoteCount": row["quotes"],
        "replyCount": row["replies"], "bookmarkCount": 0, "indexedAt": _seconds_later(row["created_at"]),
        "viewer": {"bookmarked": False, "threadMuted": False}, "labels": [],
    }  # fmt: skip
    if row["links"]:
        external = {"uri": row["links"][0], "title": "Catchment Coffee", "description": "beans & machines"}
        record["embed"] = {"$type": "app.bsky.embed.external", "external": external}
        view["embed"] = {"$type": "app.bsky.embed.external#view", "external": external}
    elif row["key"].endswith("z"):  # unions are open: others' programs write what the lexicons do not know
        record["embed"] = {"$type": "example.poll.embed", "options": ["filter", "espresso"]}
    return view


def _facets(row: Row, accounts: dict[str, Row]) -> list[Row]:
    """Where the text mentions somebody, has a tag, or links, counted in bytes."""
    features = [
        *((f"@{accounts[did]['handle']}", "mention", {"did": did}) for did in row["mentions"]),
        *((f"#{tag}", "tag", {"tag": tag}) for tag in row["tags"]),
        *((link, "link", {"uri": link}) for link in row["links"]),
    ]
    text, facets = row["text"].encode(), []
    for words, kind, feature in features:
        start = text.find(words.encode())
        index = {"byteStart": start, "byteEnd": start + len(words.encode())}
        facets.append({"index": index, "features": [{"$type": f"app.bsky.richtext.facet#{kind}", **feature}]})
    return facets


def _reference(uri: str) -> Row:
    return {"uri": uri, "cid": _cid(uri)}


def _cid(uri: str) -> str:
    return "b" + b32encode(b"\x01\x71\x12\x20" + sha256(uri.encode()).digest()).decode().lower().rstrip("=")


def _seconds_later(text: str) -> Any:
    later = datetime.fromisoformat(text) + timedelta(seconds=2)
    return later.isoformat(timespec="milliseconds").replace("+00:00", "Z")
