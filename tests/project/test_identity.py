"""Who is one person, and who is not: what people, systems and mistakes do to identifiers."""

import random
from datetime import date, datetime, timedelta
from types import SimpleNamespace

import building
import pyarrow
import pytest

MODELS = [
    *(
        f"intermediate/identity/int_{name}"
        for name in (
            *("person_records__keyed", "identifiers__normalised", "identifiers__shared", "identifiers__parted"),
            *("person_pairs__scored", "identity_links__drawn", "identity_nodes__numbered"),
            *("identity_persons__found", "persons__by_identifier"),
        )
    ),
    "marts/customers/bridge_customer_identities",
    "marts/customers/bridge_person_redirects",
    "marts/customers/fct_identity_links",
]
IDENTIFIERS = (
    "record_type text, record_id text, identifier_type text, identifier_value text, source_system text, "
    "is_held boolean, first_seen_at timestamp, last_seen_at timestamp"
)
RECORD = {
    "record_type": None, "record_id": None, "source_system": None, "email": None, "phone": None, "first_name": None,
    "last_name": None, "full_name": None, "company_name": None, "street_line": None, "postal_code": None, "city": None,
    "country_code": None, "language_code": None, "birth_date": None, "created_at": None, "updated_at": None,
}  # fmt: skip
SEEDS = ["nobody_mailboxes", "identity_weights"]
MARCH = datetime(2026, 3, 1)


def day(number):
    return MARCH + timedelta(days=number)


class World:
    """What systems say: records, and the identifiers that they had."""

    def __init__(self):
        self.identifiers, self.records, self.overrides = [], [], []

    def had(self, record, kind, value, since=0, until=None, is_held=True):
        """A record ('customer shop:1') had an identifier from one day on, until another; or saw it once."""
        type_, key = record.split(" ")
        last = day(since) if not is_held else None if until is None else day(until)
        self.identifiers.append((type_, key, kind, value, key.split(":")[0], is_held, day(since), last))

    def record(self, record, since=0, **content):
        """A record with what it says of the person, and the e-mail address and phone number that it has since then."""
        type_, key = record.split(" ")
        if "first_name" in content:
            content.setdefault("full_name", f"{content['first_name']} {content.get('last_name')}")
        about = {"record_type": type_, "record_id": key, "source_system": key.split(":")[0], "created_at": day(since)}
        self.records.append({**RECORD, **about, **content})
        for kind in ("email", "phone"):
            if content.get(kind):
                self.had(record, kind, content[kind], since)

    def override(self, action, one, other, on=0):
        self.overrides.append((action, *one.split(" "), *other.split(" "), day(on).date(), "they said so"))

    def found(self, chance=None):
        """Builds the models, of the rows in any order."""
        project = building.Project(MODELS, "int_identifiers__unioned", IDENTIFIERS, SEEDS)
        db = project.db

        def run_query(sql):
            rows = db.execute(sql).fetchall()
            return SimpleNamespace(columns=[SimpleNamespace(values=lambda: [row[0] for row in rows])])

        def stop(message):
            raise AssertionError(message)

        errors = SimpleNamespace(raise_compiler_error=stop)
        project.macros = building.template(building.MACROS.replace("macro run_query(", "macro run_query_of_dbt("))
        project.names |= {"execute": True, "run_query": run_query, "exceptions": errors}
        identifiers, records = list(self.identifiers), list(self.records)
        if chance:
            chance.shuffle(identifiers)
            chance.shuffle(records)
        db.execute("create table int_email_domains__ascii (domain_name text, ascii_domain_name text)")
        db.execute("insert into int_email_domains__ascii values ('köln.example', 'xn--kln-sna.example')")
        db.execute(
            "create table identity_overrides (action text, left_type text, left_value text, right_type text, "
            "right_value text, decided_on date, reason text)"
        )
        for override in self.overrides:
            db.execute("insert into identity_overrides values (?, ?, ?, ?, ?, ?, ?)", override)
        types = {"birth_date": "date", "created_at": "timestamp", "updated_at": "timestamp"}
        columns = ", ".join(f"{name} {types.get(name, 'text')}" for name in RECORD)
        db.execute(f"create table int_person_records__unioned ({columns})")
        for table, rows in {
            "int_identifiers__unioned": [(*row, "run 1") for row in identifiers],
            "int_person_records__unioned": [tuple(row.values()) for row in records],
        }.items():
            if rows:
                names = [f"c{number}" for number in range(len(rows[0]))]
                db.register("rows", pyarrow.table([*zip(*rows, strict=True)], names=names))
                db.execute(f"insert into {table} from rows")
        project.build("run 1")
        return Found(db)


class Found:
    """Who is who."""

    def __init__(self, db):
        self.db = db

    def person(self, identifier, on=1000):
        """The person of an identifier ('email a@b.example') on a day."""
        kind, value = identifier.split(" ", 1)
        rows = self.db.execute(
            "select person_id from int_persons__by_identifier where identifier_type = ? and identifier_value = ?"
            " and valid_from <= ? and (valid_to is null or ? < valid_to)",
            [kind, value, day(on), day(on)],
        ).fetchall()
        assert len(rows) == 1, (identifier, rows)
        return rows[0][0]

    def are_one(self, *identifiers):
        return len({self.person(identifier) for identifier in identifiers}) == 1

    def everything(self):
        tables = ["bridge_customer_identities", "bridge_person_redirects", "fct_identity_links"]
        return [self.db.table(table).order("all").fetchall() for table in tables]


def anna(**more):
    return {"first_name": "Anna", "last_name": "Müller", **more}


def test_what_systems_know_of_one_person_is_one_person():
    world = World()
    world.record("customer shop:1", **anna(email="anna@example.org"))
    world.record("contact crm:7", since=5, **anna(email="anna@example.org"))
    world.had("customer shop:1", "visitor", "web:x", since=3)
    world.had("customer shop:1", "device", "devices:m1", since=4)
    world.had("order resale:9", "email", "anna@example.org", since=8, is_held=False)
    world.record("customer shop:2", email="ben@example.org", first_name="Ben", last_name="Abel")
    found = world.found()
    assert found.are_one("customer shop:1", "contact crm:7", "visitor web:x", "device devices:m1", "order resale:9")
    assert not found.are_one("customer shop:1", "customer shop:2")


def test_a_mailbox_with_a_tag_or_an_international_domain_is_the_same_mailbox():
    world = World()
    world.record("customer shop:1", email="anna+shop@köln.example")
    world.record("contact crm:7", email="anna@xn--kln-sna.example")
    world.record("contact crm:8", email="anna+news@köln.example")
    assert world.found().are_one("customer shop:1", "contact crm:7", "contact crm:8")


def test_an_address_that_a_thousand_accounts_have_makes_nobody_one():
    world = World()
    for number in range(1000):
        world.record(f"customer shop:{number}", since=number // 3, email="till@kiosk.example", first_name=f"N{number}")
        world.had(f"customer shop:{number}", "email", f"till+{number}@kiosk.example", since=number // 3)
    found = world.found()
    assert len({found.person(f"customer shop:{number}") for number in range(1000)}) == 1000
    ambiguous = found.db.execute(
        "select bool_and(is_ambiguous) from bridge_customer_identities where identifier_type = 'email'"
    )
    assert ambiguous.fetchone() == (True,)


@pytest.mark.parametrize(("accounts", "days", "is_one"), [(5, 1, True), (6, 18, True), (6, 17, False)])
def test_an_address_is_shared_if_more_than_five_accounts_get_it_within_ninety_days(accounts, days, is_one):
    """The last of six comes 90 days after the first, at 18 days each, or 85."""
    world = World()
    for number in range(accounts):
        world.record(
            f"customer shop:{number}", since=number * days + (number > 0 and days == 18), email="a@example.org"
        )
    assert world.found().are_one(*(f"customer shop:{number}" for number in range(accounts))) is is_one


@pytest.mark.parametrize(("names", "is_one"), [("Anna Ben Cleo", False), ("Anna Ben Ben", True), ("Anna", True)])
def test_an_address_that_accounts_of_three_names_have_over_the_years_makes_nobody_one(names, is_one):
    world = World()
    for number, first in enumerate(names.split() * (4 - len(names.split()))):
        name = {"first_name": first, "last_name": "Abel" if number else "Abbel"}
        world.record(f"customer shop:{number}", since=number * 200, email="till@kiosk.example", **name)
    assert world.found().are_one("customer shop:0", "customer shop:1", "customer shop:2") is is_one


def test_role_mailboxes_are_nobodys():
    world = World()
    world.record("customer shop:1", email="info@cafe.example", first_name="Anna", last_name="Abel")
    world.record("contact crm:2", email="info@cafe.example", first_name="Ben", last_name="Berg")
    assert not world.found().are_one("customer shop:1", "contact crm:2")


@pytest.mark.parametrize(
    "other",
    [
        {"first_name": "Ben", "last_name": "Müller"},
        {"first_name": "Ben", "last_name": "Müller", "birth_date": date(1990, 5, 1)},  # twins
        {"first_name": "Anna", "last_name": "Müller", "birth_date": date(1961, 8, 14), "phone": None},  # her mother
        {"first_name": "Anton", "last_name": "Berg"},
    ],
)
def test_people_who_share_a_home_and_a_phone_are_two(other):
    world, home = World(), {"phone": "+4989123456", "street_line": "Am Markt 3", "postal_code": "80331"}
    world.record("customer shop:1", **anna(email="anna@example.org", birth_date=date(1990, 5, 1), **home))
    world.record("customer shop:2", email="other@example.org", **home | other)
    assert not world.found().are_one("customer shop:1", "customer shop:2")


@pytest.mark.parametrize(
    ("second", "is_one"),
    [
        (anna(phone="+4989123456"), True),  # a new address, the old phone
        ({"first_name": "Anna", "last_name": "Mueller", "phone": "+4989123456"}, True),
        ({"first_name": "Müller", "last_name": "Anna", "phone": "+4989123456"}, True),
        ({"full_name": "ANNA MULLER", "phone": "+4989123456"}, True),
        ({"first_name": "A.", "last_name": "Müller", "phone": "+4989123456"}, False),  # may be Andreas
        (anna(street_line="am markt 3", postal_code="80 331"), True),
        (anna(email="anna.m78@other.example"), True),  # the same mailbox at another provider
        (anna(email="anna.m78.2@example.org"), True),
        (anna(email="anna.m79@example.org"), False),  # the next number: somebody else's
        (anna(email="muller@example.org"), False),
        (anna(postal_code="80331"), False),
        (anna(), False),  # the name alone
        ({"phone": "+4989123456"}, False),  # the phone alone
        ({"first_name": "Berta", "last_name": "Zorn", "phone": "+4989123456"}, False),
    ],
)
def test_a_name_needs_a_second_kind_of_evidence(second, is_one):
    world = World()
    first = {
        "email": "anna.m78@example.org",
        "phone": "+4989123456",
        "street_line": "Am Markt 3",
        "postal_code": "80331",
    }
    world.record("customer shop:1", **anna(**first))
    world.record("customer shop:2", since=10, **second)
    assert world.found().are_one("customer shop:1", "customer shop:2") is is_one


def test_verified_addresses_and_a_name_that_many_have_are_two_people():
    world = World()
    world.record("customer shop:1", **anna(email="anna.mueller@example.org", postal_code="80331"))
    world.record("customer shop:2", **anna(email="anna.mueller@other.example", postal_code="80331"))
    assert not world.found().are_one("customer shop:1", "customer shop:2")


def test_who_changes_every_identifier_stays_one_and_what_was_given_up_is_the_next_ones():
    world = World()
    for kind, values in {"email": ["old@a.example", "new@b.example"], "phone": ["+4989111111", "+4989222222"]}.items():
        world.had("customer shop:1", kind, values[0], since=0, until=50)
        world.had("customer shop:1", kind, values[1], since=50)
    world.had("contact crm:7", "email", "old@a.example", since=3)
    world.had("audience_member news:3", "email", "new@b.example", since=70)
    world.had("customer shop:2", "email", "old@a.example", since=90)
    world.had("order resale:1", "email", "old@a.example", since=20, is_held=False)
    world.had("order resale:2", "email", "old@a.example", since=95, is_held=False)
    found = world.found()
    assert found.are_one("customer shop:1", "contact crm:7", "audience_member news:3", "order resale:1")
    assert found.are_one("customer shop:2", "order resale:2")
    assert not found.are_one("customer shop:1", "customer shop:2")
    assert found.person("email old@a.example", on=89) == found.person("customer shop:1")
    assert found.person("email old@a.example", on=90) == found.person("customer shop:2")
    spans = found.db.execute(
        "select identifier_value, valid_from, valid_to, is_current from bridge_customer_identities"
        " where identifier_type = 'email' and source_system = 'shop' and person_id = ? order by valid_from",
        [found.person("customer shop:1")],
    ).fetchall()
    assert spans == [("old@a.example", day(0), day(50), False), ("new@b.example", day(50), None, True)]


def test_two_people_who_swap_addresses_stay_two():
    world = World()
    for key, first, then in (("1", "x@example.org", "y@example.org"), ("2", "y@example.org", "x@example.org")):
        world.had(f"customer shop:{key}", "email", first, since=0, until=40)
        world.had(f"customer shop:{key}", "email", then, since=40)
        world.had(f"order resale:{key}a", "email", first, since=10, is_held=False)
        world.had(f"order resale:{key}b", "email", then, since=50, is_held=False)
    found = world.found()
    for key in "12":
        assert found.are_one(f"customer shop:{key}", f"order resale:{key}a", f"order resale:{key}b")
    assert not found.are_one("customer shop:1", "customer shop:2")


def test_who_takes_an_address_while_another_has_it_shares_it():
    world = World()
    world.had("customer shop:1", "email", "x@example.org", since=0, until=40)
    world.had("customer shop:2", "email", "x@example.org", since=39)
    assert world.found().are_one("customer shop:1", "customer shop:2")


def test_a_browser_is_who_signed_in_last():
    world = World()
    world.had("customer shop:1", "visitor", "web:x", since=10, until=20)
    world.had("customer shop:2", "visitor", "web:x", since=20, until=30)
    world.had("customer shop:1", "visitor", "web:x", since=30)
    found = world.found()
    owners = [found.person("visitor web:x", on=number) for number in (0, 15, 25, 35)]
    assert owners == [found.person(f"customer shop:{key}") for key in "1121"]


def test_a_person_is_called_by_the_oldest_identifier_and_found_by_every_other():
    world = World()
    world.had("customer shop:1", "email", "anna@example.org", since=10)
    before = world.found()
    former = before.person("customer shop:1")
    world.had("contact crm:7", "email", "anna@example.org", since=2)
    found = world.found()
    assert found.person("customer shop:1") != former
    redirect = found.db.execute("select person_id from bridge_person_redirects where former_person_id = ?", [former])
    assert redirect.fetchall() == [(found.person("contact crm:7"),)]


def test_a_merge_that_is_undone_leaves_everything_as_it_was():
    world = World()
    world.record("customer shop:1", email="a@example.org")
    world.record("customer shop:2", email="b@example.org")
    before = world.found()
    world.override("link", "customer shop:1", "customer shop:2", on=5)
    merged = world.found()
    assert merged.are_one("customer shop:1", "customer shop:2")
    assert merged.db.execute("select evidence from fct_identity_links where evidence like 'over%'").fetchall() == [
        ("override: they said so",)
    ]
    world.overrides.clear()
    assert world.found().everything() == before.everything()


@pytest.mark.parametrize("ends", [("email a@example.org", "contact crm:7"), ("contact crm:7", "email a@example.org")])
def test_a_link_that_is_wrong_is_taken_away(ends):
    world = World()
    world.record("customer shop:1", **anna(email="a@example.org"))
    world.record("contact crm:7", email="a@example.org")
    world.override("unlink", *ends)
    assert not world.found().are_one("customer shop:1", "contact crm:7")


@pytest.mark.parametrize("seed", range(3))
def test_persons_do_not_depend_on_the_order_of_rows_and_no_link_joins_two(seed):
    chance, world = random.Random(seed), World()
    for number in range(150):
        kind, system = chance.choice([("customer", "shop"), ("contact", "crm"), ("order", "resale")])
        name = {"first_name": chance.choice(["Anna", "Ben", "Cleo"]), "last_name": chance.choice(["Abel", "Berg"])}
        email = f"{chance.choice('abcdefgh')}{chance.randrange(9)}@example.org"
        world.record(f"{kind} {system}:{number}", since=chance.randrange(300), **name, email=email,
                     phone=chance.choice([None, f"+49891234{chance.randrange(20):02}"]))  # fmt: skip
        if chance.random() < 0.3:
            world.had(
                f"{kind} {system}:{number}", "visitor", f"web:{chance.randrange(30)}", since=chance.randrange(300)
            )
    found = world.found()
    assert found.everything() == world.found(chance).everything()
    crossing = """
        select * from fct_identity_links as links
        inner join bridge_person_redirects as others on links.right_identifier_id = others.former_person_id
        where links.person_id <> others.person_id
    """
    assert found.db.execute(crossing).fetchall() == []
