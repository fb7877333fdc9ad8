"""Social accounts that are customers': who, and how the CRM and the newsletters wrote their handles down."""

import re
from collections import Counter
from datetime import timedelta

import pytest

from sandbox.company import CLOCK, Company


def bare(text: str) -> str:
    """The handle in any of its forms, as the network has it."""
    if url := re.fullmatch(r"https://(bsky\.app/profile/)?([^/]+)(?:/@(.+))?", text):
        return url[2] if url[1] else f"{url[3]}@{url[2]}"
    return text.removeprefix("@").lower()


def noted(company) -> dict[str, dict[str, int]]:
    """Handle -> person, by system, as its contacts and members have them."""
    crm, newsletters = company.crm, company.newsletters
    contacts = {contact.values.get("social_handle"): person for contact, person in crm.person_of.items()
                if contact.is_alive}  # fmt: skip
    members = {member.row["merge_fields"]["SOCIAL"]: member.person for member in newsletters.members.values()}
    return {
        system: {bare(text): person.person_id for text, person in people.items() if text}
        for system, people in (("hubspot", contacts), ("mailchimp", members))
    }


@pytest.fixture(scope="module")
def accounts(bigger):
    return bigger.handles.truth()["social_accounts.csv"]


def test_one_in_six_is_a_customer_who_has_one_account(bigger, accounts):
    others = [account for account in bigger.social.accounts if not account.is_own]
    assert [row["account_key"] for row in accounts] == [account.key for account in others]
    known = [row for row in accounts if row["person_id"]]
    assert 0.08 < len(known) / len(accounts) < 0.26
    assert {row["person_id"] for row in known} <= {person.person_id for person in bigger.person_of.values()}
    assert max(Counter(row["person_id"] for row in known).values()) == 1
    assert {row["network"] for row in known} == {"bluesky", "mastodon"}
    assert not any(row["noted_in"] for row in accounts if not row["person_id"])


def test_who_knows_a_handle_has_it_with_the_person(bigger, accounts):
    systems = noted(bigger)
    for system, people in systems.items():
        expected = {row["handle"]: row["person_id"] for row in accounts if system in row["noted_in"].split()}
        assert people == expected and expected, system
    assert systems["hubspot"].keys() & systems["mailchimp"].keys() and systems["hubspot"] != systems["mailchimp"]


def test_handles_are_written_in_several_ways(bigger):
    texts = [contact.values.get("social_handle") for contact in bigger.crm.person_of]
    texts += [member.row["merge_fields"]["SOCIAL"] for member in bigger.newsletters.members.values()]
    ways = Counter(
        "link" if text.startswith("https://") else "capitals" if text.isupper() else "@" if text[0] == "@" else "bare"
        for text in texts
        if text
    )
    assert ways.keys() == {"link", "capitals", "@", "bare"}


def test_a_new_handle_is_a_change_of_its_row():
    company = Company(1, 0.3).run(CLOCK)
    before = noted(company)
    company.run(CLOCK + timedelta(days=60))
    after, day = noted(company), CLOCK.isoformat()
    for contact, person in company.crm.person_of.items():
        text = contact.values.get("social_handle")
        if contact.is_alive and text and bare(text) not in before["hubspot"]:
            assert any(at.date() >= CLOCK and "social_handle" in values for at, values, _ in contact.changes)
            assert [at for at, _, _ in contact.changes] == sorted(at for at, _, _ in contact.changes), person
    new = [
        member for member in company.newsletters.members.values()
        if (text := member.row["merge_fields"]["SOCIAL"]) and bare(text) not in before["mailchimp"]
    ]  # fmt: skip
    assert after["hubspot"].keys() - before["hubspot"] and new
    assert all(member.row["last_changed"] >= day for member in new)
