"""How positive or negative an English text is: VADER (Hutto and Gilbert 2014), made for posts in social media.

How good it is on labelled posts is in docs/sentiment.md, and so is what was measured beside it.
"""

import functools
import html
import re
from importlib import metadata

PACKAGE = "vaderSentiment"
VERSION = f"{PACKAGE} {metadata.version(PACKAGE)}, revision 1"
"""The model's name and version, and the revision of what this module makes of a text before: raise it with that."""

MAX_LENGTH = 3_000
"""Characters that are read, as many as a post on Bluesky may have bytes: VADER's work grows with the words squared."""

_BREAK = re.compile(r"<(?:br|/?(?:p|li|div|blockquote|pre|h[1-6]))\b[^<>]*>", re.I)
_TAG = re.compile(r"<[^<>]*>")
# Who is spoken to and where a link leads says nothing of the writer's mood, but @united is a word of the lexicon.
_ADDRESS = re.compile(r"https?://\S+|(?<!\w)@\w[\w.-]*(?:@[\w.-]+)?")


def text_score(text: str) -> str | None:
    """VADER's compound score of a plain text, in [-1, 1] with four digits; None where there are no words in it."""
    words = _ADDRESS.sub(" ", text[:MAX_LENGTH]).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    if not words.strip():
        return None
    return str(_analyzer().polarity_scores(words)["compound"])


def html_score(content: str) -> str | None:
    """The same of a text in HTML."""
    return text_score(plain_text(content))


def plain_text(content: str) -> str:
    """The text of a piece of HTML: without tags, with line breaks, and characters for entities."""
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", content)))


@functools.cache
def _analyzer():
    # Here, so that a run that has nothing to score does not wait for it.
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
