"""Social media: Bluesky's own posts, mentions, replies, quotes and searches, and how many people reacted in time."""

import dataclasses
from datetime import datetime

import dlt

from ingestion.bluesky_api import Reader
from ingestion.contract import contract, field
from ingestion.reading import resources
from ingestion.stream import Event, Run, State, Stream


@contract
class Accounts:
    """One account of ours, and its figures."""

    did: str = field("The account's permanent id.", key=True)
    handle: str = field("Its name now, a domain.")
    display_name: str | None = field("Name that people see.", source="displayName")
    description: str | None = field("How it describes itself.")
    followers_count: int | None = field("Followers.", source="followersCount")
    follows_count: int | None = field("Accounts that it follows.", source="followsCount")
    posts_count: int | None = field("Posts that it wrote, replies included.", source="postsCount")
    created_at: datetime | None = field("When it was opened (UTC).", source="createdAt")


@contract
class Posts:
    """One post: one of ours, or one that mentions, answers or quotes us or that a search found."""

    uri: str = field("The post: at://did/app.bsky.feed.post/key.", key=True)
    cid: str = field("Hash of its content.")
    author_did: str = field("Who wrote it.", source="author.did")
    author_handle: str | None = field("Name of that account now, a domain.", source="author.handle")
    author_name: str | None = field("Name that people see.", source="author.displayName")
    post_text: str | None = field(
        "What was written; empty if it is all pictures.",
        source="record.text",
        enrich="text_sentiment",
        language="langs",
    )
    langs: str | None = field("Languages that the writer declares: a JSON array (BCP 47).", source="record.langs")
    reply_root_uri: str | None = field("The post that began the thread.", source="record.reply.root.uri")
    reply_parent_uri: str | None = field("The post that it answers.", source="record.reply.parent.uri")
    facets: str | None = field("Mentions, links and hashtags in the text: a JSON array.", source="record.facets")
    embed: str | None = field("What hangs on it, of whatever type: a JSON object.", source="record.embed")
    tags: str | None = field("Hashtags that are not in the text: a JSON array.", source="record.tags")
    labels: str | None = field("Labels of its author and of moderators: a JSON array.")
    created_at: datetime = field("When it was written, by its author's clock (UTC).", source="record.createdAt")
    indexed_at: datetime = field("When it reached the network (UTC).", source="indexedAt", version=True)


@contract
class Engagement:
    """How many people had reacted to one post at one age of it: at the first reading since it was so old."""

    uri: str = field("The post.", key=True)
    milestone: str = field("The age: 1h, 24h, 7d or 30d.", key=True)
    like_count: int | None = field("Likes.", source="likeCount")
    repost_count: int | None = field("Reposts.", source="repostCount")
    reply_count: int | None = field("Replies.", source="replyCount")
    quote_count: int | None = field("Posts that quote it.", source="quoteCount")
    published_at: datetime = field("When the post was written, or reached the network if that was earlier (UTC).")
    measured_at: datetime = field("When the server said so (UTC).")


_DROPPED = {
    "accounts": (
        *("avatar", "banner", "pronouns", "website", "associated", "joinedViaStarterPack", "indexedAt", "viewer"),
        *("labels", "pinnedPost", "verification", "status", "debug"),
    ),
    "posts": (
        *("author.*", "record.$type", "record.entities", "record.labels", "record.reply.*", "embed", "viewer"),
        *("record.reply.root.*", "record.reply.parent.*", "threadgate", "debug"),
        *("bookmarkCount", "likeCount", "repostCount", "replyCount", "quoteCount"),
    ),
}
"""What the lexicons have beside: looks, what is elsewhere, and what the posts are to whoever is logged in."""

STREAMS = [
    Stream("accounts", dataclasses.replace(Accounts, dropped=_DROPPED["accounts"]), State()),
    Stream("posts", dataclasses.replace(Posts, dropped=_DROPPED["posts"]), State(), cursor="indexed_at"),
    Stream("engagement", Engagement, Event()),
]


@dlt.source
def bluesky(
    identifier: str = dlt.config.value,
    password: str = dlt.secrets.value,
    base_url: str = "https://bsky.social",
    accounts: list[str] | None = None,
    searches: list[str] | None = None,
    run: Run | None = None,
):
    """What our accounts write, who mentions, answers or quotes them, and what `searches` find.

    `identifier` (a handle, DID or e-mail address) and `password`, an app password, log in: nobody else may search, or
    read beyond the first page. `base_url` is the account's server (PDS). `accounts`: handles or DIDs; the one that
    logs in if there is none.
    """
    return resources(STREAMS, Reader(identifier, password, base_url, accounts, searches), run)
