"""What people have in common with others, and what is told of it."""

from collections import Counter, defaultdict

import pytest

from sandbox.company import CLOCK, Company
from sandbox.shared import KIOSK


@pytest.fixture(scope="module")
def told(bigger):
    return bigger.shared.truth()["identity.json"]


def test_a_couple_has_one_phone_and_lives_at_one_address_and_has_nothing_else_in_common(bigger, told):
    """Until one of the two has another phone, moves, or is erased."""
    couples, people = told["couples"], {person.person_id: person for person in bigger.people}
    assert 0.004 < len(couples) / len({person.person_id for person in bigger.person_of.values()}) < 0.03
    assert max(Counter(one for couple in couples for one in couple).values()) == 1
    homes, account_of = defaultdict(set), {}
    for key, person in bigger.person_of.items():
        account_of.setdefault(person.person_id, key)
    for address in bigger.shop["addresses"].values():
        homes[address["customer_id"]].add((address["line_1"], address["postal_code"]))
    phones = addresses = 0
    for couple in couples:
        one, other = (people[person_id] for person_id in couple)
        assert one.country == other.country and one.email != other.email
        phones += one.phone == other.phone
        first, second = (homes[account_of[person_id]] for person_id in couple)
        addresses += bool(first & second)
    assert len(couples) * 0.7 < phones and len(couples) / 2 < addresses


def test_an_account_has_its_owners_e_mail_unless_it_is_told(bigger, told):
    for key, customer in bigger.shop["customers"].items():
        expected = told["emails"].get(key, bigger.person_of[key].email)
        assert customer["email"] is None or customer["email"].strip().lower() == expected
    kiosk = [bigger.person_of[key].person_id for key, email in told["emails"].items() if email == KIOSK]
    assert 4 <= len(kiosk) == len(set(kiosk)) <= 12
    cafes = {}
    for key, email in told["emails"].items():
        if email != KIOSK:
            assert email.startswith("info@") and bigger.person_of[key].company_name
            cafes.setdefault(email, set()).add(bigger.person_of[key].person_id)
    assert len(cafes) > 5 and max(map(len, cafes.values())) <= 2


def test_a_misspelled_e_mail_has_the_letters_of_the_right_one(bigger, told):
    members = {member.row["contact_id"]: member for member in bigger.newsletters.members.values()}
    found = 0
    for contact_id, meant in told["misspelled"].items():
        member = members.get(contact_id)
        if member and member.row["email_address"].lower() != meant:
            written, found = member.row["email_address"].lower(), found + 1
            assert sorted(written) == sorted(meant) and sum(map(str.__ne__, written, meant)) == 2
            assert meant.startswith(member.person.email.split("@")[0])
    assert found > 1
    right = [member for key, member in members.items() if key not in told["misspelled"]]
    assert all(
        member.row["email_address"].lower().split("@")[0] == member.person.email.split("@")[0] for member in right
    )


def test_clean_data_have_none_of_it():
    company = Company(1, 0.1, 0.0).run(CLOCK)
    assert company.shared.truth() == {"identity.json": {"couples": [], "emails": {}, "misspelled": {}}}
