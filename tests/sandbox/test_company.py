from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from sandbox import reseller_orders
from sandbox.company import CLOCK, Company
from sandbox.dirt import DEFECTS, Dirt
from sandbox.shop import tables


def snapshot(company):
    return repr((tables(company), company.partner_lines, company.people, company.dirt.hits))


def test_same_seed_same_company_and_other_seed_another(company):
    again = Company(1, 0.02).run(CLOCK)
    assert snapshot(again) == snapshot(company)
    assert snapshot(Company(2, 0.02).run(CLOCK)) != snapshot(company)


def test_the_way_to_a_clock_does_not_matter():
    in_steps = Company(3, 0.02).run(date(2026, 1, 1)).run(date(2026, 1, 2)).run(date(2026, 3, 1))
    assert snapshot(in_steps) == snapshot(Company(3, 0.02).run(date(2026, 3, 1)))


@pytest.mark.parametrize("until", [date(2025, 12, 1), CLOCK])
def test_the_books_balance(until):
    shop = Company(1, 0.1).run(until).shop
    goods, discounts, captured, refunded = Counter(), Counter(), Counter(), Counter()
    for item in shop["order_items"].values():
        goods[item["order_id"]] += item["quantity"] * item["unit_price"]
        discounts[item["order_id"]] += item["quantity"] * item["unit_discount"]
    for payment in shop["payments"].values():
        if payment["payment_status"] == "captured":
            captured[payment["order_id"]] += payment["amount"]
    for refund in shop["refunds"].values():
        refunded[refund["payment_id"]] += refund["amount"]
        assert shop["payments"][refund["payment_id"]]["payment_status"] == "captured"
    for key, order in shop["orders"].items():
        assert order["discount_total"] == discounts[key]
        assert order["order_total"] == goods[key] + order["tax_total"] + order["shipping_total"] - discounts[key]
        if order["order_status"] in ("paid", "shipped", "delivered"):
            assert captured[key] == order["order_total"]
    assert all(amount <= shop["payments"][key]["amount"] for key, amount in refunded.items())
    assert any(discounts.values()) and refunded, "nothing to check"
    yen = [order for order in shop["orders"].values() if order["currency"].strip().upper() == "JPY"]
    assert yen and all(order["order_total"] == int(order["order_total"]) for order in yen)


def test_nothing_is_from_the_future_or_before_its_creation(company):
    for rows in company.shop.values():
        for row in rows.values():
            begin = row.get("created_at") or row.get("ordered_at") or row.get("started_at") or row["updated_at"]
            assert begin <= row["updated_at"] < datetime(2026, 10, 1, tzinfo=UTC)


def test_every_defect_occurs_at_its_rate(bigger):
    dirt = bigger.dirt
    for name, (rate, _) in DEFECTS.items():
        chances, hits = dirt.chances[name], dirt.hits[name]
        deviation = (chances * rate * (1 - rate)) ** 0.5
        assert abs(hits - chances * rate) < 4 * deviation + 1, f"{name}: {hits} of {chances}"
    assert all(dirt.hits[name] for name in DEFECTS if name != "cost_missing")


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.4])
def test_the_rate_of_the_defects_can_be_set(rate):
    company = Company(1, 0.1, rate).run(CLOCK)
    shop, hits, chances = company.shop, company.dirt.hits, company.dirt.chances
    emails, phones, countries = (
        [row[column] for row in shop["customers"].values()] for column in ("email", "phone", "country")
    )
    clean = [
        [email is not None and email == email.lower().strip() for email in emails],
        [phone is not None and phone[0] == "+" and phone[1:].isdigit() for phone in phones],
        [len(country) == 2 and country.isupper() for country in countries],
    ]
    for number, values in zip((3, 5, 3), clean, strict=True):
        assert sum(values) / len(values) == pytest.approx(max(0, 1 - number * rate), abs=0.1)
    crm = company.crm.dirt
    for name in ("email_missing", "phone_national", "guest_order", "duplicate_customer", "broken_line"):
        alone = DEFECTS[name][0] * rate / 0.05
        expected = min(alone, {"email_missing": 1 / 3, "phone_national": 1 / 5}.get(name, 1))
        assert hits[name] / chances[name] == pytest.approx(expected, abs=0.06)
        assert bool(hits[name]) == bool(rate)
    assert crm.hits["email_missing"] / crm.chances["email_missing"] == pytest.approx(min(rate, 1 / 3), abs=0.1)


def test_a_value_has_one_defect_at_most_whatever_the_rate():
    assert Dirt(None, 0.4).shares("email_missing", "email_spaces") == {"email_missing": 0.4, "email_spaces": 0.4}
    phone = ("phone_missing", "phone_placeholder", "phone_national", "phone_spaced", "phone_00_prefix")
    assert Dirt(None, 0.4).shares(*phone) == pytest.approx(dict.fromkeys(phone, 0.2))
    assert Dirt(None).shares("email_missing", "broken_line") == {"email_missing": 0.05, "broken_line": 0.01}


def test_dirt_is_in_the_rows_not_only_in_the_count(bigger):
    big = bigger.shop
    emails = [row["email"] for row in big["customers"].values()]
    upper = sum(email is not None and email == email.upper() for email in emails)
    assert 0.02 < upper / len(emails) < 0.09
    codes = Counter(len(row["country"]) for row in big["customers"].values())
    assert codes[2] > 0.8 * codes.total() and codes[3] and codes.total() - codes[2] - codes[3]
    guests = sum(row["customer_id"] is None and row["order_number"] is not None for row in big["orders"].values())
    assert 0.03 < guests / len(big["orders"]) < 0.2  # erased customers' orders count here too


def test_two_accounts_of_a_person_share_what_identifies_them(bigger):
    accounts = Counter(person.person_id for person in bigger.person_of.values())
    assert max(accounts.values()) >= 2
    phones, partners = {}, {later: earlier for earlier, later in bigger.shared.couples}
    for person in bigger.people:
        owner = phones.setdefault((person.country, person.phone), person)
        assert owner.person_id in (person.person_id, partners.get(person.person_id)), "a phone number of two people"


def test_a_day_brings_inserts_updates_deletes_and_late_rows():
    company = Company(1, 0.3).run(CLOCK)
    before, clock = tables(company), datetime(2026, 10, 1, tzinfo=UTC)
    company.run(CLOCK + timedelta(days=14))
    new, changed, late = {}, {}, 0
    for table, rows in company.shop.items():
        new[table] = rows.keys() - before[table].keys()
        changed[table] = [
            k for k, row in rows.items() if k in before[table] and tuple(row.values()) != before[table][k]
        ]
        late += sum(rows[key]["updated_at"] < clock for key in new[table])
        position = list(next(iter(rows.values()))).index("updated_at")
        for key in changed[table]:
            assert rows[key]["updated_at"] > before[table][key][position], f"{table}: changed without a new updated_at"
    assert all(new[table] for table in ("customers", "orders", "order_items", "payments", "refunds", "addresses"))
    assert all(changed[table] for table in ("customers", "addresses", "products", "orders", "payments"))
    assert before["customers"].keys() - company.shop["customers"].keys()
    assert company.deleted["order_items"]
    assert late > 0
    kept = {key for key in before["orders"] if key in company.shop["orders"]}
    statuses = {(before["orders"][key][5], company.shop["orders"][key]["order_status"]) for key in kept}
    assert ("paid", "delivered") in statuses


def test_partner_keys_are_unique_and_files_only_grow():
    company = Company(1, 0.5).run(CLOCK)
    good = [(line.reseller, line.values["order_number"], line.values["line_number"]) for line in company.partner_lines]
    assert len(good) == len(set(good))
    numbers = Counter(number for _, number in {(reseller, number) for reseller, number, _ in good})
    assert set(numbers.values()) == {1}, "an order number of two resellers"
    before = reseller_orders.files(company)
    after = reseller_orders.files(company.run(CLOCK + timedelta(days=20)))
    assert all(after[path][: len(lines)] == lines for path, lines in before.items())
    assert any(len(after[path]) > len(lines) for path, lines in before.items()), "no old month's file grew"
    assert after.keys() - before.keys() == {f"{reseller}/orders_2026-10.csv" for reseller in reseller_orders.DIALECTS}
