"""Word documents (docx) and presentations (pptx): zip archives of XML."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from ingestion.parsers import PAGES, Unreadable, archive, member, untangle
from ingestion.parsers.content import Content, line, moment

# What was deleted or moved away while changes were tracked, what stands in for others, and how text looks.
_UNSEEN = {"del", "moveFrom", "Fallback", "instrText", "pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr"}
_KEPT = ("id", "val", "type", "Id", "Type", "Target", "TargetMode")
"""Attributes that are asked for."""
_WORDS = {"tab": "\t", "ptab": "\t", "cr": "\n", "noBreakHyphen": "-"}
_NO_NEW_PAGE = ("continuous", "nextColumn")


class _Package:
    """An Office file: its parts, and how they refer to each other. What is outside of it is not opened."""

    def __init__(self, data: bytes) -> None:
        self.opened = archive(data)
        self.names = set(self.opened.namelist())
        self.main = self.first("officeDocument")
        self.root = self.part(self.main)

    def part(self, name: str) -> Element:
        """The root of a part; one with nothing in it if there is no such part."""
        return untangle(member(self.opened, name), _KEPT) if name in self.names else Element("nothing")

    def parts(self, of: str) -> dict[str, tuple[str, str]]:
        """Id -> (type, name) of the parts that a part, or the package itself (""), refers to."""
        path, found = PurePosixPath(of), {}
        for relation in self.part(f"{path.parent}/_rels/{path.name}.rels".removeprefix("./")):
            name = _resolve(path.parent, relation.get("Target", ""))
            if name in self.names and relation.get("TargetMode") != "External":
                found[relation.get("Id", "")] = relation.get("Type", "").rsplit("/", 1)[-1], name
        return found

    def first(self, kind: str) -> str:
        """The name of a part of this type; empty if there is none."""
        return next((name for known, name in self.parts("").values() if known == kind), "")


def read(data: bytes) -> Content:
    """A document by its pages, as far as it was laid out, or a presentation by its slides. Raises Unreadable."""
    package = _Package(data)
    kind = _name(package.root)
    if kind == "document":
        content = Content("docx", _Document(package).pages)
    elif kind == "presentation":
        content = Content("pptx", list(_slides(package)))
    else:
        what = "a workbook" if kind == "workbook" else "a zip archive"
        raise Unreadable("unsupported", f"it is {what}, and no document")
    said = {_name(element): element.text for element in package.part(package.first("core-properties"))}
    content.title, content.author = line(said.get("title")), line(said.get("creator"))
    content.language, content.created_at = said.get("language"), moment(said.get("created"))
    return content


class _Document:
    """The pages of a document: paragraphs, tables and text boxes in their order, headers before them and footers after
    them once, notes where they are referred to."""

    def __init__(self, package: _Package) -> None:
        self.pages: list[str] = []
        self.blocks: list[str] = []
        self.cells, self.breaks = 0, False  # how many cells we are in, and whether the next block begins a page
        parts = package.parts(package.main).values()
        self.notes = {
            (kind, _get(note, "id")): note
            for kind, name in parts
            if kind in ("footnotes", "endnotes")
            for note in package.part(name)
            if _get(note, "type") in (None, "normal")
        }
        header, footer = (
            dict.fromkeys(block for known, name in parts if known == kind for block in self._inside(package.part(name)))
            for kind in ("header", "footer")
        )
        self._walk(package.root)
        self._end_page()
        pages = self.pages or [""]
        pages[0] = "\n\n".join([*header, pages[0]])
        pages[-1] = "\n\n".join([pages[-1], *footer])
        self.pages = pages

    def _inside(self, element: Element) -> list[str]:
        """The blocks in a part or cell, which belong together whatever pages they are on."""
        outer, self.blocks, self.cells = self.blocks, [], self.cells + 1
        self._walk(element)
        inner, self.blocks, self.cells = self.blocks, outer, self.cells - 1
        return inner

    def _walk(self, parent: Element) -> None:
        for element in parent:
            name = _name(element)
            if name == "p":
                self._paragraph(element)
            elif name == "tbl":
                self._table(element)
            elif name not in _UNSEEN:
                self._walk(element)

    def _paragraph(self, paragraph: Element) -> None:
        properties = {_name(child): child for part in paragraph if _name(part) == "pPr" for child in part}
        if (breaks := properties.get("pageBreakBefore")) is not None and _get(breaks, "val") not in ("0", "false"):
            self.breaks = True
        words: list[str] = []
        boxes: list[Element] = []
        for piece in self._pieces(paragraph, boxes):
            if piece is None:
                self._block("".join(words))
                words, self.breaks = [], True
            else:
                words.append(piece)
        self._block("".join(words))
        for box in boxes:
            self._walk(box)
        if (section := properties.get("sectPr")) is not None:
            kind = next((_get(child, "val") for child in section if _name(child) == "type"), None)
            self.breaks = self.breaks or kind not in _NO_NEW_PAGE

    def _pieces(self, parent: Element, boxes: list[Element]) -> Iterator[str | None]:
        """The text of a paragraph, None where a page ends; `boxes` gets the text boxes and notes in it."""
        for element in parent:
            name = _name(element)
            if name == "t":
                yield element.text or ""
            elif name in _WORDS:
                yield _WORDS[name]
            elif name == "br":
                yield None if _get(element, "type") == "page" else "\n"
            elif name == "lastRenderedPageBreak":
                yield None
            elif name == "txbxContent":
                boxes.append(element)
            elif name in ("footnoteReference", "endnoteReference"):
                note = self.notes.pop((name.replace("Reference", "s"), _get(element, "id")), None)
                boxes += [] if note is None else [note]
            elif name not in _UNSEEN and not _is_hidden(element):
                yield from self._pieces(element, boxes)

    def _table(self, table: Element) -> None:
        """Rows are lines, cells apart by tabs; a row with a page break in it begins the page."""
        lines: list[str] = []
        was_due, self.breaks = self.breaks, False
        for row in _below(table, "tr"):
            cells = [" ".join(" ".join(self._inside(cell)).split()) for cell in _below(row, "tc")]
            if self.breaks and lines:
                self.breaks = was_due
                self._block("\n".join(lines))
                lines, was_due = [], True
            was_due, self.breaks = was_due or self.breaks, False
            lines.append("\t".join(cells))
        self.breaks = was_due
        self._block("\n".join(lines))

    def _block(self, text: str) -> None:
        if text.strip():
            if self.breaks and not self.cells:
                self._end_page()
                self.breaks = False
            self.blocks.append(text)

    def _end_page(self) -> None:
        if self.blocks:
            self.pages.append("\n\n".join(self.blocks))
            self.blocks = []
        if len(self.pages) > PAGES:
            raise Unreadable("refused", f"it has more than {PAGES:,} pages")


def _slides(package: _Package) -> Iterator[str]:
    parts = package.parts(package.main)
    ids = [_get(element, "id") for element in package.root.iter() if _name(element) == "sldId"]
    if len(ids) > PAGES:
        raise Unreadable("refused", f"it has {len(ids):,} slides; {PAGES:,} are allowed")
    for name in (parts[number][1] for number in ids if number in parts):
        yield "\n\n".join(_shapes(package.part(name)))


def _shapes(parent: Element) -> Iterator[str]:
    """The texts of a slide's shapes, and its tables: rows are lines, cells apart by tabs."""
    for element in parent:
        name = _name(element)
        if name == "txBody":
            yield "\n".join(_drawn(paragraph) for paragraph in _below(element, "p"))
        elif name == "tbl":
            yield "\n".join(
                "\t".join(" ".join(_drawn(cell).split()) for cell in _below(row, "tc")) for row in _below(element, "tr")
            )
        elif name not in _UNSEEN:
            yield from _shapes(element)


def _drawn(parent: Element) -> str:
    """The text of a paragraph or cell on a slide."""
    words = {"t": lambda element: element.text or "", "br": lambda _: "\n", "p": lambda _: "\n"}
    return "".join(words[name](element) for element in parent.iter() if (name := _name(element)) in words).strip("\n")


def _is_hidden(run: Element) -> bool:
    """Whether somebody has hidden this run of text: Word neither shows nor prints it."""
    looks = (look for part in run if _name(part) == "rPr" for look in part)
    return any(_name(look) == "vanish" and _get(look, "val") not in ("0", "false", "off") for look in looks)


def _below(parent: Element, name: str) -> Iterator[Element]:
    """The nearest elements of a name, whatever they are wrapped in."""
    for element in parent:
        if _name(element) == name:
            yield element
        elif _name(element) not in _UNSEEN:
            yield from _below(element, name)


def _name(element: Element) -> str:
    """Its name in whichever namespace: Office has two for each, of which one is used."""
    return element.tag.rpartition("}")[2]


def _get(element: Element, name: str) -> str | None:
    """An attribute that has a namespace."""
    return next((value for key, value in element.items() if key.endswith(f"}}{name}")), None)


def _resolve(folder: PurePosixPath, target: str) -> str:
    """The name of a part as others write it: from the root, or from the folder they are in."""
    steps: list[str] = []
    for step in (target if target.startswith("/") else f"{folder}/{target}").split("/"):
        if step == "..":
            del steps[-1:]
        elif step not in ("", "."):
            steps.append(step)
    return "/".join(steps)
