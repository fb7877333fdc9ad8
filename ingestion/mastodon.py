"""Social media: Mastodon's own posts, mentions, replies and searches, and how many people reacted to them in time."""

import dataclasses
from datetime import date, datetime

import dlt

from ingestion.contract import contract, field
from ingestion.mastodon_api import Reader
from ingestion.reading import resources
from ingestion.stream import Event, Run, State, Stream


@contract
class Accounts:
    """One account of ours, and its figures."""

    account_id: str = field("The server's id of the account.", key=True, source="id")
    handle: str = field("Name on this server: user, or user@server of an account elsewhere.", source="acct")
    display_name: str | None = field("Name that people see.")
    url: str | None = field("Its page.")
    uri: str | None = field("Its id for all servers.")
    note: str | None = field("How it describes itself (HTML).")
    followers_count: int | None = field("Followers.")
    following_count: int | None = field("Accounts that it follows.")
    statuses_count: int | None = field("Statuses that it wrote, boosts included.")
    is_bot: bool | None = field("Whether it says that it is automatic.", source="bot")
    is_locked: bool | None = field("Whether followers have to be accepted.", source="locked")
    is_suspended: bool | None = field(
        "Whether the server has suspended it; null where it does not say.", source="suspended"
    )
    last_status_date: date | None = field("Day of its latest status.", source="last_status_at")
    created_at: datetime | None = field("When it was opened (UTC, midnight).")


@contract
class Statuses:
    """One status: one of ours, or one that mentions or answers us or that a search found. A boost is a status, too."""

    status_id: str = field("The server's id of the status.", key=True, source="id")
    uri: str | None = field("Its id for all servers.")
    url: str | None = field("Its page; null for some boosts.")
    account_id: str = field("Who wrote or boosted it: the server's id of the account.", source="account.id")
    account_handle: str | None = field("That account: user, or user@server of one elsewhere.", source="account.acct")
    account_name: str | None = field("Name that people see.", source="account.display_name")
    account_url: str | None = field("That account's page.", source="account.url")
    content: str | None = field(
        "What was written (HTML); of a boost what the other wrote.", enrich="html_sentiment", language="language"
    )
    content_warning: str | None = field("What is shown before the content is unfolded.", source="spoiler_text")
    language: str | None = field("Language that the writer's program declares (ISO 639-1), with or without a region.")
    visibility: str | None = field("public, unlisted or private (for followers).")
    reblog_of_id: str | None = field("The status that it boosts.", source="reblog.id")
    in_reply_to_id: str | None = field("The status that it answers.")
    in_reply_to_account_id: str | None = field("Who wrote the status that it answers.")
    quoted_status_id: str | None = field("The status that it quotes.", source="quote.quoted_status.id")
    mentions: str | None = field("Accounts that it mentions: a JSON array of id, acct, username and url.")
    tags: str | None = field("Hashtags: a JSON array of name and url.")
    media_attachments: str | None = field("Pictures, videos and sounds: a JSON array.")
    is_sensitive: bool | None = field("Whether its media are hidden at first.", source="sensitive")
    is_bot: bool | None = field("Whether the account says that it is automatic.", source="account.bot")
    created_at: datetime = field("When it was written (UTC).")
    edited_at: datetime | None = field("When it was last edited (UTC); null if it never was.")
    updated_at: datetime = field("When it was last edited, or else written (UTC).", version=True)


@contract
class Engagement:
    """How many people had reacted to one status at one age of it: at the first reading since it was so old."""

    status_id: str = field("The status.", key=True)
    milestone: str = field("The age: 1h, 24h, 7d or 30d.", key=True)
    favourites_count: int | None = field("How many people marked it as a favourite.")
    reblogs_count: int | None = field("How many people boosted it.")
    replies_count: int | None = field("How many answers it has.")
    quotes_count: int | None = field("How many people quoted it; null where the server does not count them.")
    created_at: datetime = field("When the status was written (UTC).")
    measured_at: datetime = field("When the server said so (UTC).")


_DROPPED = {
    "accounts": (
        *("avatar", "avatar_static", "avatar_description", "header", "header_static", "header_description"),
        *("username", "emojis", "fields", "roles", "role", "source", "group", "discoverable", "indexable", "noindex"),
        *("hide_collections", "limited", "memorial", "moved", "feature_approval"),
        *("show_featured", "show_media", "show_media_replies"),
    ),
    "statuses": (
        *("account.*", "reblog.*", "quote.*", "quote.quoted_status.*", "quote_approval", "tagged_collections"),
        *("application", "card", "emojis", "poll", "text"),
        *("favourites_count", "reblogs_count", "replies_count", "quotes_count"),
        *("bookmarked", "favourited", "filtered", "muted", "pinned", "reblogged"),
    ),
}
"""What Mastodon 4.7 has beside: looks, what is elsewhere, and what the statuses are to the token's owner."""

STREAMS = [
    Stream("accounts", dataclasses.replace(Accounts, dropped=_DROPPED["accounts"]), State()),
    Stream("statuses", dataclasses.replace(Statuses, dropped=_DROPPED["statuses"]), State(), cursor="created_at"),
    Stream("engagement", Engagement, Event()),
]


@dlt.source
def mastodon(
    base_url: str = dlt.config.value,
    token: str = dlt.secrets.value,
    accounts: list[str] | None = None,
    searches: list[str] | None = None,
    run: Run | None = None,
):
    """What our accounts write, who mentions or answers them, and what `searches` find: hashtags (#coffee) or words.

    `base_url` is the server, of Mastodon or one with its API; `token` an access token of it. `accounts`: handles, as
    user or user@server; the token's own if there is none.
    """
    return resources(STREAMS, Reader(base_url, token, accounts, searches), run)
