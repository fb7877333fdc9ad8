"""The visible text of HTML pages. Nothing that they refer to is fetched."""

import html
import re
from collections.abc import Iterator

from ingestion.parsers import Unreadable
from ingestion.parsers.content import Content, line, moment
from ingestion.parsers.text import decode

TAGS = 1_000_000
"""That a page may have."""


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


_PARAGRAPHS = _names(
    "address article aside blockquote center dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p "
    "pre section table ul"
)
_LINES = _names("br caption dd div dt figcaption legend li option summary tbody tfoot thead tr")
_UNSEEN = _names("audio canvas iframe noscript object script style svg template title video")
_RAW = _names("iframe noscript script style textarea title xmp")
"""Elements that have no others in them, whatever it looks like."""
_ENDLESS = _names(
    "area base body br col dd dt embed hr html img input li link meta option p source tbody td tfoot th thead tr track "
    "wbr"
)
"""Elements whose end need not be written, or is not."""

_KIND = re.compile("(?P<comment><!--)|(?P<tag></?[a-zA-Z])|(?P<declaration><[!?/])|(?P<text><)")
# Possessive, so that a tag that never ends is looked at once.
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*+)((?:[^>=]|=\s*+(?:"[^"]*+"|'[^']*+')|=)*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]++)\s*+(?:=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++))?""")
_CHARSET = re.compile(
    rb"""<meta\s[^>]{0,300}charset\s*=\s*["']?\s*([\w-]{1,40})|<\?xml[^>]{0,100}encoding=["']([\w-]{1,40})""", re.I
)
_LOOKS_LIKE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:(?><\?xml.*?\?>|<!--.*?-->)\s*+)*+<(?:!doctype\s+html|html|head|body|title|meta)\b",
    re.I | re.S,
)
_MAY_HIDE = re.compile("hidden|none", re.I)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_DATES = ("date", "dc.date", "dcterms.created", "article:published_time")


def is_html(data: bytes) -> bool:
    """Whether bytes begin as a page does, whatever their name is."""
    return bool(_LOOKS_LIKE.match(data[:4096]))


def read(data: bytes) -> Content:
    """A page as one page; what is hidden by its own style is not seen. Raises Unreadable."""
    named = _CHARSET.search(data[:4096])
    name = (named[1] or named[2]).decode() if named else ""
    # In bytes of which two are a character, the name would not have been found.
    return read_text(decode(data, None if name.lower().startswith(("utf-16", "utf-32")) else name))


def read_text(source: str) -> Content:
    """The same of a page that is text already. Raises Unreadable."""
    if source.count("<") > TAGS:
        raise Unreadable("refused", f"it has more than {TAGS:,} tags")
    page = _Page()
    for kind, name, rest in _tokens(source):
        if kind == "text":
            page.text(_unescaped(name))
        elif kind == "raw":
            page.raw(name, rest)
        elif kind == "end":
            page.end(name)
        else:
            page.start(name, rest)
    content = Content("html", ["".join(page.parts)], title=line(page.title))
    content.language = page.language
    content.author, content.created_at = line(page.meta.get("author")), None
    for name in _DATES:
        content.created_at = content.created_at or moment(page.meta.get(name))
    return content


def _tokens(source: str) -> Iterator[tuple[str, str, str]]:
    """(text, itself, ""), (start or end, tag, its attributes), (raw, tag, what is in it): as the HTML standard splits a
    page, in one pass; html.parser takes hours for a megabyte of tags that never end."""
    at, size = 0, len(source)
    while at < size:
        begin = source.find("<", at)
        if begin < 0:
            yield "text", source[at:], ""
            return
        if begin > at:
            yield "text", source[at:begin], ""
        kind = _KIND.match(source, begin).lastgroup
        if kind == "comment":
            at = _after(source, "-->", begin + 2)
        elif kind == "declaration":
            at = _after(source, ">", begin)
        elif kind == "text":
            yield "text", "<", ""
            at = begin + 1
        elif not (tag := _TAG.match(source, begin)):
            return
        else:
            name, at = tag[2].lower(), tag.end()
            yield "end" if tag[1] else "start", name, tag[3]
            if not tag[1] and name in _RAW and not tag[3].endswith("/"):
                end = re.compile(f"</{name}(?=[\\s/>])", re.I).search(source, at)
                yield "raw", name, source[at : end.start() if end else size]
                at = end.start() if end else size


def _after(source: str, end: str, start: int) -> int:
    found = source.find(end, start)
    return found + len(end) if found >= 0 else len(source)


def _unescaped(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:  # the number of a character with thousands of digits
        return text


class _Page:
    """Text as it is put together: runs of white space are one space, blocks begin and end lines."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.title, self.language, self.meta = "", "", {}
        self.hidden, self.depth = "", 0  # the element that hides what is in it, and how many of its name are open
        self.preformatted = 0

    def text(self, text: str) -> None:
        if self.hidden:
            return
        if not self.preformatted:
            text = re.sub(r"[ \t\n\r\f]+", " ", text)
            if not self.parts or self.parts[-1][-1:] in " \n\t":
                text = text.lstrip(" ")
        if text:
            self.parts.append(text)

    def raw(self, name: str, text: str) -> None:
        if name == "title" and not self.title:
            self.title = _unescaped(text)
        elif name not in _UNSEEN:
            self.text(_unescaped(text))

    def start(self, name: str, attributes: str) -> None:
        if self.hidden:
            self.depth += name == self.hidden
            return
        if name in ("html", "meta"):
            self._note(name, dict(_attributes(attributes)))
        if (name in _UNSEEN or _is_hidden(attributes)) and name not in _ENDLESS:
            if not attributes.endswith("/"):
                self.hidden, self.depth = name, 1
            return
        self.preformatted += name == "pre"
        self._break(name, begins=True)

    def end(self, name: str) -> None:
        if self.hidden:
            self.depth -= name == self.hidden
            if not self.depth:
                self.hidden = ""
            return
        self.preformatted = max(0, self.preformatted - (name == "pre"))
        self._break(name, begins=False)

    def _break(self, name: str, begins: bool) -> None:
        if name in _PARAGRAPHS:
            self.parts.append("\n\n")
        elif name == "br" or (name in _LINES and self.parts and self.parts[-1][-1:] != "\n"):
            self.parts.append("\n")
        elif name in ("td", "th") and not (begins and (not self.parts or self.parts[-1][-1:] in "\n\t")):
            self.parts.append("\t")

    def _note(self, name: str, attributes: dict[str, str]) -> None:
        if name == "html":
            self.language = attributes.get("lang", attributes.get("xml:lang", ""))
        else:
            key = attributes.get("name", attributes.get("property", "")).lower()
            self.meta.setdefault(key, attributes.get("content", ""))


def _attributes(text: str) -> Iterator[tuple[str, str]]:
    for found in _ATTRIBUTE.finditer(text[:10_000]):
        yield found[1].lower(), _unescaped((found[2] or "").strip("\"'"))


def _is_hidden(attributes: str) -> bool:
    if not _MAY_HIDE.search(attributes, 0, 10_000):
        return False
    named = dict(_attributes(attributes))
    return "hidden" in named or bool(_HIDDEN.search(named.get("style", "")))
