"""The company's social life on two networks: what it posts, what people write about it, and what becomes of that.

A post's whole fate (edit, deletion, engagement) is decided when it is written: what a network shows is a function of
the moment, so that `posts` also has what is still to come.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from hashlib import md5
from itertools import count
from math import exp
from typing import Any

from sandbox.simulation import FIRST_DAY, Row, Simulation
from sandbox.social_phrases import ANSWERS, BOT, BRANDED, ENDINGS, OWN, PHRASES, SENTIMENTS, STRANGERS
from sandbox.vocabulary import COFFEES, COUNTRIES

OWN_HANDLES = {"bluesky": "coffee.example", "mastodon": "catchment@social.example"}
SERVERS = {"bluesky": ["bsky.example"], "mastodon": ["social.example", "kaffee.example", "cafe.example"]}
LONGEST = {"bluesky": 300, "mastodon": 1500}  # characters as people count them; Mastodon's servers differ
PER_DAY = {"own": 0.6, "mention": 0.7, "reply": 0.8, "search": 0.7, "other": 0.05}  # on each network at scale 1
COUNTRY_OF = {"en": ["GB", "US"], "de": ["DE", "AT", "CH"], "fr": ["FR"], "ja": ["JP"]}
LANGUAGES, LANGUAGE_WEIGHTS = list(PHRASES), [50, 28, 14, 8]
LEAVES = FIRST_DAY + timedelta(days=368)  # the day on which an account of each network is deleted
_BASE32 = "234567abcdefghijklmnopqrstuvwxyz"


def _base32(number: int, digits: int) -> str:
    return "".join(_BASE32[number >> 5 * place & 31] for place in reversed(range(digits)))


@dataclass(eq=False)
class Account:
    """One account of a network. `key`: its DID on Bluesky, its number on Mastodon. `handle` is unique on its network;
    on Mastodon it is name@server. `final_followers`: how many follow it in the end; `deleted_at`: when it leaves, posts
    and all."""

    network: str
    number: int
    key: str
    handle: str
    name: str
    about: str
    language: str
    created_at: datetime
    final_followers: int
    is_own: bool = False
    is_bot: bool = False
    deleted_at: datetime | None = None


@dataclass(eq=False)
class Post:
    """One post. `key`: its at-URI on Bluesky, its id on Mastodon (grows with time).

    kind: own (of the company, answers too), mention (has @handle of the company in its text), reply (to a post of the
    company's), search (names the brand and does not tag it), other (somebody's, of something else). `language` is
    true, `languages` what the author declared: often just that, sometimes none, sometimes two. `topic` is empty for
    none. `text` is plain, with @handles, #tags and links written out; `first_text` what it was before `edited_at`.
    """

    author: Account
    number: int
    key: str
    kind: str
    at: datetime
    text: str
    language: str
    languages: list[str]
    topic: str
    sentiment: str
    reply_to: "Post | None"
    final_likes: int
    final_reposts: int
    final_quotes: int
    edited_at: datetime | None = None
    first_text: str = ""
    deleted_at: datetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When it is gone, by itself or with its author; None for never."""
        return min((at for at in (self.deleted_at, self.author.deleted_at) if at), default=None)

    def is_shown(self, now: datetime) -> bool:
        """Whether the network has it at that moment."""
        return self.at < now and not (self.ends_at and self.ends_at <= now)


class Social:
    """Follows the company day by day: `accounts` and `posts` of both networks, those to come included.

    `tables(network)` is what a network shows at the company's midnight: `accounts` (those deleted are not there) and
    `posts` (deleted ones are not there) as JSON rows, times as ISO texts in UTC with milliseconds and Z.
    Account rows: key, handle, name, about, created_at, followers, following, posts, is_own, is_bot.
    Post rows, oldest first: key, author (an account's key), created_at, edited_at (or null), text, first_text (what it
    was before the edit, or null), languages, kind, reply_to (key of a post, maybe of one deleted since, or null),
    mentions (keys of accounts whose @handle the text has; a Mastodon reply starts with one), tags (without #), links,
    likes, reposts, quotes, replies. Counters grow with the post's age and never fall, but for replies that are deleted.
    """

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"social {company.seed}")
        self.accounts: list[Account] = []
        self.posts: list[Post] = []
        self._numbers, self._due_so_far = count(1), dict.fromkeys(self._happenings(), 0.0)
        self.own, self.bots = {}, {}
        for network in OWN_HANDLES:
            self.own[network] = self._open(network, "en", OWN_HANDLES[network])
            self.bots[network] = self._open(network, "en")
            self.bots[network].is_bot = True
            self._open(network, "en").deleted_at = self._moment(86400 * (LEAVES - FIRST_DAY).days + 40000)

    def day(self) -> None:
        """What is written on the company's day."""
        for network, kind in self._happenings():
            self._due_so_far[network, kind] += max(PER_DAY[kind] * self.company.scale, 0.03)
            while self._due_so_far[network, kind] >= 1:
                self._due_so_far[network, kind] -= 1
                getattr(self, f"_{kind}")(network, self._moment(self.rng.randrange(20000, 80000)))
        number = (self.company.today - FIRST_DAY).days
        if number % 9 == 5:
            self._bot(list(OWN_HANDLES)[number % 2])

    def _happenings(self) -> Iterator[tuple[str, str]]:
        return ((network, kind) for network in OWN_HANDLES for kind in PER_DAY)

    def _moment(self, seconds: float) -> datetime:
        return datetime.combine(self.company.today, time(), UTC) + timedelta(seconds=seconds)

    # Who writes

    def _open(self, network: str, language: str, handle: str = "") -> Account:
        """A new account, the company's own if it comes with a handle."""
        number, rng = len(self.accounts) + 1, self.rng
        people = COUNTRIES[rng.choice(COUNTRY_OF[language])]
        digest = md5(f"{self.company.seed} {network} {number}".encode()).hexdigest()
        account = Account(
            network, number,
            key=f"did:plc:{_base32(int(digest, 16), 24)}" if network == "bluesky" else str(109_000 + number),
            handle=handle or ("{}.{}" if network == "bluesky" else "{}@{}").format(
                f"{rng.choice(['bean', 'brew', 'crema', 'kissa', 'filter'])}{number}", rng.choice(SERVERS[network])),
            name="Catchment Coffee" if handle else f"{rng.choice(people.first_names)} {rng.choice(people.last_names)}",
            about="We roast & pack coffee. https://coffee.example" if handle else rng.choice(["", "coffee <3"]),
            language=language, created_at=datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number),
            final_followers=4200 if handle else int(rng.lognormvariate(4, 1.5)), is_own=bool(handle),
        )  # fmt: skip
        self.accounts.append(account)
        return account

    def _author(self, network: str) -> Account:
        """Somebody who wrote before, or somebody new."""
        known = [one for one in self.accounts if one.network == network and not (one.is_own or one.is_bot)]
        left = {one for one in known if one.deleted_at and one.deleted_at.date() <= self.company.today}
        if self.rng.random() < 0.5 and (author := self.rng.choice(known)) not in left:
            return author
        return self._open(network, self.rng.choices(LANGUAGES, LANGUAGE_WEIGHTS)[0])

    # What is written

    def _own(self, network: str, at: datetime) -> None:
        language = self.rng.choices(list(OWN), [3, 1])[0]
        topic, text = self.rng.choice(OWN[language])
        coffee = self.rng.choice(COFFEES)
        link = f" https://coffee.example/journal/{len(self.posts)}?utm_source={network}&utm_medium=social"
        text = text.format(coffee) + (link if self.rng.random() < 0.6 else "") + " #CatchmentCoffee"
        self._write("own", self.own[network], at, text, language, topic, "neutral", weight=12)

    def _mention(self, network: str, at: datetime) -> None:
        self._opinion("mention", network, at, self.rng.choice(["@{0} {1}", "{1} @{0}"]))

    def _search(self, network: str, at: datetime) -> None:
        self._opinion("search", network, at, self.rng.choice(BRANDED).format("{1}"))

    def _reply(self, network: str, at: datetime) -> None:
        """To one of the company's latest posts, its answers included."""
        own = [post for post in self.posts[-300:] if post.author is self.own[network] and post.is_shown(at)]
        if own:
            to = own[-1 - int(len(own[-8:]) * self.rng.random() ** 2)]
            self._opinion("reply", network, at, "@{0} {1}" if network == "mastodon" else "{1}", to)

    def _other(self, network: str, at: datetime) -> None:
        self._write("other", self._author(network), at, self.rng.choice(STRANGERS), "en", "", "neutral")

    def _bot(self, network: str) -> None:
        """The same words again and again."""
        self._write("search", self.bots[network], self._moment(43200), BOT, "en", "price", "neutral", weight=0.1)

    def _opinion(self, kind: str, network: str, at: datetime, form: str, reply_to: Post | None = None) -> None:
        author, rng = self._author(network), self.rng
        topic = rng.choice(list(PHRASES[author.language]))
        sentiment = rng.choices(SENTIMENTS, [45, 25, 30])[0]
        text = rng.choice(PHRASES[author.language][topic][SENTIMENTS.index(sentiment)].split("|"))
        text = form.format(self.own[network].handle, text.format(rng.choice(COFFEES)) + rng.choice(ENDINGS))
        if rng.random() < 0.01:
            text = f"{text}\n\n" + "👩‍🌾" * (LONGEST[network] - len(text) - 2)
        post = self._write(kind, author, at, text, author.language, topic, sentiment, reply_to)
        if rng.random() < 0.2 and kind != "search":  # the company answers
            prefix = f"@{author.handle} " if network == "mastodon" else ""
            answer = prefix + ANSWERS[author.language][SENTIMENTS.index(sentiment)]
            at += timedelta(seconds=rng.randrange(600, 80000))
            self._write("own", self.own[network], at, answer, author.language, "", "neutral", post)

    def _write(self, kind: str, author: Account, at: datetime, text: str, language: str, topic: str, sentiment: str,
               reply_to: Post | None = None, weight: float = 1.0) -> Post:  # fmt: skip
        rng, number = self.rng, next(self._numbers)
        at = at.replace(microsecond=rng.randrange(1000) * 1000)
        if author.network == "bluesky":
            rkey = _base32(int(at.timestamp() * 1_000_000) << 10 | number & 1023, 13)
            key = f"at://{author.key}/app.bsky.feed.post/{rkey}"
        else:
            key = str((int(at.timestamp() * 1000) << 16) + number)
        languages = rng.choices([[language], [], list(dict.fromkeys([language, "en"]))], [86, 10, 4])[0]
        likes = int(weight * rng.lognormvariate(1.2, 1.1))
        reposts, quotes = int(likes * rng.random() * 0.4), int(likes * rng.random() * 0.1)
        post = Post(author, number, key, kind, at, text, language, languages, topic, sentiment, reply_to,
                    likes, reposts, quotes)  # fmt: skip
        if author.network == "mastodon" and rng.random() < 0.06:
            post.edited_at = at + timedelta(seconds=int(rng.lognormvariate(8, 2)))
            post.first_text, post.text = text, f"{text} (edited)"
        if rng.random() < 0.04:  # mostly soon, now and then after months
            post.deleted_at = at + timedelta(hours=rng.lognormvariate(3, 2))
        self.posts.append(post)
        return post

    # What there is, and what is true

    def tables(self, network: str) -> dict[str, list[Row]]:
        """What the network shows now."""
        now = self._moment(0)
        accounts = [
            one for one in self.accounts if one.network == network and not (one.deleted_at and one.deleted_at <= now)
        ]
        posts = [post for post in self.posts if post.author.network == network and post.is_shown(now)]
        posts.sort(key=lambda post: post.at)
        written, replies = {}, {}
        for post in posts:
            written[post.author] = written.get(post.author, 0) + 1
            replies[post.reply_to] = replies.get(post.reply_to, 0) + 1
        handles = {f"@{one.handle}": one.key for one in accounts}
        return {
            "accounts": [_account(one, now, written.get(one, 0)) for one in accounts],
            "posts": [_post(post, now, replies.get(post, 0), handles) for post in posts],
        }

    def truth(self) -> dict[str, list[Row]]:
        """Truth files by name.

        social_posts.csv  every post ever written before now, on both networks, with its true language, topic and
                          sentiment; deleted_at, if it is gone by now, be it alone or with its author
        """
        now = self._moment(0)
        return {
            "social_posts.csv": [
                {
                    "network": post.author.network, "post_key": post.key, "author_key": post.author.key,
                    "author_handle": post.author.handle, "kind": post.kind,
                    "reply_to_key": post.reply_to and post.reply_to.key, "language": post.language,
                    "declared_languages": " ".join(post.languages), "topic": post.topic, "sentiment": post.sentiment,
                    "created_at": _iso(post.at),
                    "edited_at": _iso(post.edited_at) if post.edited_at and post.edited_at < now else None,
                    "deleted_at": None if post.is_shown(now) else _iso(post.ends_at),
                }
                for post in self.posts if post.at < now
            ]
        }  # fmt: skip


def _account(one: Account, now: datetime, written: int) -> Row:
    share = min(1.0, (now - one.created_at).days / 1200)
    return {
        "key": one.key, "handle": one.handle, "name": one.name, "about": one.about, "created_at": _iso(one.created_at),
        "followers": int(one.final_followers * share), "following": one.final_followers % 97, "posts": written,
        "is_own": one.is_own, "is_bot": one.is_bot,
    }  # fmt: skip


def _post(post: Post, now: datetime, replies: int, handles: dict[str, str]) -> Row:
    is_edited = post.edited_at is not None and post.edited_at < now
    text = post.text if is_edited or not post.edited_at else post.first_text
    share = 1 - exp((post.at - now) / timedelta(hours=18))
    words = [word.rstrip(".,:;!?") for word in text.split()]
    return {
        "key": post.key, "author": post.author.key, "created_at": _iso(post.at),
        "edited_at": _iso(post.edited_at) if is_edited else None, "text": text,
        "first_text": post.first_text if is_edited else None, "languages": post.languages, "kind": post.kind,
        "reply_to": post.reply_to and post.reply_to.key,
        "mentions": list(dict.fromkeys(handles[word] for word in words if word in handles)),
        "tags": list(dict.fromkeys(word[1:] for word in words if word[:1] == "#" and word[1:])),
        "links": [word for word in words if word.startswith("https://")],
        "likes": int(post.final_likes * share), "reposts": int(post.final_reposts * share),
        "quotes": int(post.final_quotes * share), "replies": replies,
    }  # fmt: skip


def _iso(at: datetime) -> Any:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
