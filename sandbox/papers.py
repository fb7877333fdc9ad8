"""The company's documents, day by day: contracts with businesses and owners of machines, invoices, mails about orders
and claims with their answers, service reports, and a handbook. None ever changes; some go with their customer.

On purpose: order numbers in lower case, addresses in capitals, files under two names (an invoice and its copy in a
mail), and documents that cannot be read.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from sandbox import paper_formats as formats
from sandbox.claims import Claim, owner
from sandbox.files import put, zipped
from sandbox.letters import TEXTS, language, letter
from sandbox.paper_formats import Attachment
from sandbox.photos import Picture
from sandbox.simulation import Person, Row, Simulation

# Per day, at scale 1 and in the smallest sandbox; and the share of businesses that sign a contract.
INVOICES, QUESTIONS, CONTRACTS = (0.35, 0.03), (0.2, 0.02), 0.3
SERVICE = ("Service", "service@roastery.example")
MEDIA_TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


@dataclass(eq=False)
class Paper:
    """A file in documents/. One that is personal goes when the shop erases its customer."""

    path: str
    truth: Row
    render: Callable[[], bytes]
    customer_id: int | None = None
    is_personal: bool = False

    @cached_property
    def content(self) -> bytes:
        """The bytes of the file."""
        return self.render()


class Papers:
    """The documents that there are on the company's today."""

    def __init__(self, company: Simulation) -> None:
        self.company, self.rng = company, random.Random(f"papers {company.seed}")
        self.all = list(_others())
        self._invoices: dict[int, Paper] = {}  # by order_id
        self._agenda: dict[date, list[tuple]] = defaultdict(list)
        self._numbers: Counter[str] = Counter()
        self._due: Counter[str] = Counter()
        self._customers_seen = self._devices_seen = 0

    def day(self) -> None:
        """Lives through the company's today; the day's orders, claims and photos are there already."""
        for action, *arguments in self._agenda.pop(self.company.today, []):
            action(*arguments)
        self._agree()
        orders = [order for order in self.company.web_orders if order["customer_id"]]
        for order in self._happening("invoices", INVOICES, orders):
            self._invoice(order)
        for order in self._happening("questions", QUESTIONS, orders):
            self._later((3, 6), self._question, order)
        for claim in self.company.claims.opened:
            self._claim(claim)
        for claim in self.company.claims.closed:
            self._report(claim)

    def _happening(self, what: str, rates: tuple[float, float], orders: list[Row]) -> Iterable[Row]:
        per_day, at_least = rates
        self._due[what] += max(per_day * self.company.scale, at_least)
        while self._due[what] >= 1 and orders:
            self._due[what] -= 1
            yield self.rng.choice(orders)

    def _later(self, days: tuple[int, int], action: Callable, *arguments: Any) -> None:
        self._agenda[self.company.today + timedelta(days=self.rng.randint(*days))].append((action, *arguments))

    def _agree(self) -> None:
        """New businesses and owners of machines get a contract some days later; the founding ones within months."""
        days = (3, 120) if not self._customers_seen else (3, 20)
        customers = self.company.person_of
        for key, person in islice(customers.items(), self._customers_seen, None):
            if person.company_name and self.rng.random() < CONTRACTS:
                self._later(days, self._contract, key)
        self._customers_seen = len(customers)
        devices = self.company.devices.devices
        for key in dict.fromkeys(map(owner, devices[self._devices_seen :])):
            if key:
                self._later((1, 25), self._contract, key)
        self._devices_seen = len(devices)

    def _number(self, kind: str) -> str:
        number = f"{kind}-{self.company.today.year}"
        self._numbers[number] += 1
        return f"{number}-{self._numbers[number]:05d}"

    def _facts(self, customer_id: int, person: Person, **values: Any) -> Row:
        name, today = f"{person.first_name} {person.last_name}", self.company.today
        day = f"{today}" if language(person) == "en" else f"{today:%d.%m.%Y}"
        return {"customer": customer_id, "email": person.email, "name": name, "company": person.company_name or name,
                "day": day, **values}  # fmt: skip

    def _contract(self, key: int) -> None:
        if key not in self.company.shop["customers"]:
            return
        person, number = self.company.person_of[key], self._number("V")
        devices = [device.device_id for device in self.company.devices.devices if owner(device) == key]
        facts = self._facts(key, person, number=number, devices=", ".join(devices) or "-")
        table = [[device, f"Espresso machine, {self.rng.choice(['Home', 'Café 2G'])}"] for device in devices]
        mentions = {"customer": [str(key)], "email": [person.email], "device": devices}
        is_word = self.rng.random() < 0.4
        self._print("contracts", number, "contract", person, facts, mentions, key, is_word, table)

    def _print(self, folder: str, number: str, kind: str, person: Person, facts: Row, mentions: Row, key: int,
               is_word: bool = False, table: list[list[str]] = ()) -> Paper:  # fmt: skip
        """A letter as PDF, or as docx where the customer's name has characters that our PDF files don't have."""
        title, paragraphs = letter(kind, language(person), **facts)
        if is_word or not _is_western("".join(paragraphs)):
            day = str(self.company.today)
            ending, render = "docx", lambda: formats.docx(title, paragraphs, day, language(person), table)
        else:
            ending, render = "pdf", lambda: formats.pdf(title, [paragraphs])
        path = f"{folder}/{self.company.today:%Y}/{number}.{ending}"
        truth = _truth(ending, language(person), mentions, title=title)
        paper = Paper(path, truth, render, key, is_personal=kind == "contract")
        self.all.append(paper)
        return paper

    def _invoice(self, order: Row) -> Paper | None:
        """The invoice of an order, once."""
        key = order["customer_id"]
        if order["order_id"] in self._invoices or not key:
            return self._invoices.get(order["order_id"])
        person, currency, lines = self.company.person_of[key], order["currency"].strip().upper(), []
        for item in self.company._items_of[order["order_id"]]:
            product = self.company.shop["products"][item["product_id"]]
            lines.append(f"{item['quantity']} x {product['product_name']} ({product['sku']}): {item['unit_price']}")
        number = self._number("INV")
        facts = self._facts(key, person, number=number, order=order["order_number"], lines="\n".join(lines),
                            amount=f"{order['order_total']} {currency}")  # fmt: skip
        mentions = {"customer": [str(key)], "email": [person.email], "order": [order["order_number"]]}
        self._invoices[order["order_id"]] = self._print("invoices", number, "invoice", person, facts, mentions, key)
        return self._invoices[order["order_id"]]

    def _question(self, order: Row) -> None:
        """A customer asks where an order is; the answer has its invoice attached."""
        if key := order["customer_id"]:
            person, invoice = self.company.person_of[key], self._invoice(order)
            number = order["order_number"]
            facts = self._facts(key, person, order=number.lower() if self.rng.random() < 0.1 else number)
            mentions = {"order": [number], "email": [person.email]}
            media_type = MEDIA_TYPES[invoice.path.rpartition(".")[2]]
            attached = Path(invoice.path).name, media_type, f"documents/{invoice.path}", lambda: invoice.content
            self._write_to_us("question", "answer", key, person, facts, mentions, answered=[attached])

    def _claim(self, claim: Claim) -> None:
        """A customer reports a fault, with a photo; we answer."""
        photo: Picture = self.company.photos.of_claim[claim][0]
        order = claim.order_number
        facts = self._facts(
            claim.customer_id, claim.person, device=claim.device.device_id, claim=claim.number, fault=claim.fault,
            bought=order or f"2019-{self.rng.randint(1000, 9999)}",
        )  # fmt: skip
        mentions = {"order": [order] if order else [], "email": [claim.person.email], "claim": [claim.number],
                    "device": [claim.device.device_id]}  # fmt: skip
        attached = "IMG_2041.jpg", f"image/{photo.format}", f"images/{photo.path}", lambda: photo.content
        self._write_to_us("claim", "reply", claim.customer_id, claim.person, facts, mentions, asked=[attached])

    def _write_to_us(self, kind: str, answer: str, key: int, person: Person, facts: Row, mentions: Row,
                     asked: Iterable[tuple] = (), answered: Iterable[tuple] = ()) -> None:  # fmt: skip
        """A mail of a customer and, mostly, the answer a day later, which quotes it."""
        if self.rng.random() < 0.1:
            facts["email"] = facts["email"].upper()
        customer, tongue = (facts["name"], person.email), language(person)
        title, paragraphs = letter(kind, tongue, **facts)
        text = formats.plain(paragraphs)
        sent = formats.page(title, paragraphs, tongue) if self.rng.random() < 0.2 else text
        first = self._mail(key, customer, SERVICE, title, sent, tongue, mentions, [], asked)
        if self.rng.random() < 0.75:
            title, paragraphs = letter(answer, tongue, **facts)
            quoted = "\n".join(f"> {line}" for line in text.split("\n"))
            text = formats.plain(paragraphs) + "\n\n" + quoted
            self._later((1, 1), self._mail, key, SERVICE, customer, title, text, tongue, mentions, [first], answered)

    def _mail(self, key: int, sender: tuple[str, str], recipient: tuple[str, str], subject: str, text: str,
              tongue: str, mentions: Row, references: list[str], attached: Iterable[tuple]) -> str:  # fmt: skip
        """Sends a mail at an hour of today and returns its id."""
        today, rng = self.company.today, self.rng
        number = self._number("mail")
        at = datetime.combine(today, time(rng.randrange(7, 19), rng.randrange(60)), UTC)
        domain = sender[1].partition("@")[2].encode("idna").decode()
        message_id = f"{number}.{rng.getrandbits(32):08x}@{domain}"

        def render() -> bytes:
            files = [Attachment(name, media_type, content()) for name, media_type, _, content in attached]
            return formats.mail(message_id, sender, recipient, at, subject, text, references, files)

        truth = _truth("eml", tongue, mentions, title=subject, message_id=message_id, sent_at=at.isoformat(),
                       in_reply_to=references[-1] if references else None,
                       **{"from": sender[1].lower(), "to": recipient[1].lower()},
                       attachments=[{"name": name, "media_type": media_type, "same_as": same}
                                    for name, media_type, same, _ in attached])  # fmt: skip
        path = f"mails/{today:%Y-%m}/{today:%Y%m%d}-{number[-5:]}.eml"
        self.all.append(Paper(path, truth, render, key, is_personal=True))
        return message_id

    def _report(self, claim: Claim) -> None:
        """What a technician found: as a page of the wiki, as a note, or as a text of an old computer."""
        tongue, device = language(claim.person), claim.device.device_id
        facts = self._facts(claim.customer_id, claim.person, claim=claim.number, device=device, fault=claim.fault,
                            status=claim.status)  # fmt: skip
        title, paragraphs = letter("report", tongue, **facts)
        ending = self.rng.choice(["html", "md", "txt"])
        match ending:
            case "html":
                content = formats.page(title, paragraphs, tongue).encode()
            case "md":
                marked = [paragraph.replace(device, f"**{device}**") for paragraph in paragraphs]
                content = f"# {title}\n\n{formats.plain(marked)}\n".encode()
            case "txt":
                text = f"{title}\n{'=' * len(title)}\n\n{formats.plain(paragraphs)}\n"
                content = text.replace("\n", "\r\n").encode("cp1252" if _is_western(text) else "utf-8")
        mentions = {"device": [device], "claim": [claim.number], "email": [claim.person.email]}
        truth = _truth(ending, tongue, mentions, title=title)
        self.all.append(Paper(f"reports/{claim.number}.{ending}", truth, lambda: content, claim.customer_id))

    def _is_gone(self, paper: Paper) -> bool:
        return paper.is_personal and paper.customer_id not in self.company.shop["customers"]

    def write(self, folder: Path) -> None:
        """Writes the documents that are not there, and takes away those of customers who are erased."""
        for paper in self.all:
            path = folder / paper.path
            if self._is_gone(paper):
                path.unlink(missing_ok=True)
            elif not path.exists():
                put(path, paper.content)

    def truth(self) -> dict[str, Row]:
        """documents.json: by path, what can be read from it, and what its text mentions, addresses in lower case and
        orders in upper case. `same_as` of an attachment is a file of the sandbox with the same bytes."""
        return {"documents.json": {paper.path: paper.truth for paper in self.all if not self._is_gone(paper)}}


def _is_western(text: str) -> bool:
    """Whether old computers and our PDF files have all its characters."""
    try:
        return bool(text.encode("cp1252"))
    except UnicodeEncodeError:
        return False


def _truth(ending: str, tongue: str, mentions: Row, pages: int = 1, **more: Any) -> Row:
    kinds = ("order", "device", "email", "claim", "customer")
    found = {kind: sorted({str(value) for value in mentions.get(kind, [])}) for kind in kinds}
    return {"status": "read", "format": ending, "language": tongue, "pages": pages, "mentions": found} | more


def _others() -> Iterable[Paper]:
    """The handbook, and files with something wrong or unusual."""
    rng, book = random.Random("handbook"), TEXTS["handbook"]
    chapters = [
        [f"{n}. {name.strip()}", *(" ".join(rng.choices(book["sentences"], k=5)) for _ in range(5))]
        for n, name in enumerate(book["chapters"].split("|"), 1)
    ]
    handbook = Paper("handbook.pdf", _truth("pdf", "en", {}, len(chapters), title=book["title"]),
                     lambda: formats.pdf(book["title"], chapters))  # fmt: skip
    yield handbook
    _, note = letter("answer", "en", name="Tom", order="W0000001")
    inner = formats.mail("inner.1@roastery.example", SERVICE, SERVICE, datetime(2025, 10, 1, 9, tzinfo=UTC),
                         "Where is it?", formats.plain(note))  # fmt: skip
    forwarded = formats.mail(
        "outer.1@roastery.example", SERVICE, SERVICE, datetime(2025, 10, 2, 9, tzinfo=UTC), "Fwd: Where is it?",
        formats.plain(note), attachments=[Attachment("Where is it.eml", "application/octet-stream", inner)],
    )  # fmt: skip
    attached = [{"name": "Where is it.eml", "media_type": "application/octet-stream", "same_as": None}]
    mentions, large = {"order": ["W0000001"]}, b"<w:document>" + b" " * (24 * 2**20)
    yield Paper("other/forwarded.eml", _truth("eml", "en", mentions, attachments=attached), lambda: forwarded)
    yield Paper("other/two\nlines.txt", _truth("txt", "en", mentions), lambda: formats.plain(note).encode())
    for name, status, render in (
        ("password.pdf", "encrypted", lambda: formats.pdf("Salaries", [note], "secret")),
        ("scan.pdf", "scanned", lambda: formats.scan(Picture("scan.jpg", "scan").content)),
        ("empty.txt", "empty", lambda: b""),
        ("cut.pdf", "broken", lambda: handbook.content[: len(handbook.content) // 2]),
        ("loop.pdf", "broken", formats.loop),
        ("bomb.docx", "refused", lambda: zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": large})),
    ):
        yield Paper(f"other/{name}", {"status": status}, render)
