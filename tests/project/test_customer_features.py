"""Features and labels of customers are what a plain loop over their actions finds: made of what had come, so that what
comes later, late or not, changes no row that was there. They do not depend on the order of arrival, nor on the split
into builds."""

import functools
import random
from collections import defaultdict
from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import building
import numpy as np
import pytest

MODELS = [
    "intermediate/customers/int_customer_actions__dated",
    "marts/features/fct_customer_days",
    "marts/features/ftr_customers_daily",
    "marts/features/fct_customer_labels",
]
ACTIONS = """
    action_id text, customer_id text, user_id text, source_system text, action_kind text, currency_code text,
    amount decimal(18, 4), occurred_at timestamp, observed_at timestamp
"""
RATES = """
    currency_code text, base_currency_code text, rate_to_base decimal(20, 12), rate_date date, observed_date date,
    built_in text
"""
ZONES = ["Europe/Berlin", "America/St_Johns", "Pacific/Auckland"]
UTC = ZoneInfo("UTC")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGIN, HORIZONS, DAYS = datetime(2025, 2, 3, 12), [3, 40], 440
KEYS = {
    "ftr_customers_daily": ("entity_id", "feature_at"),
    "fct_customer_labels": ("entity_id", "label_at", "horizon_days"),
}


class Warehouse(building.Project):
    """Of actions, and of rates that are there beside them."""

    def __init__(self, zone="Europe/Berlin", rates=()):
        settings = {"business_time_zone": zone, "customer_horizon_days": HORIZONS}
        super().__init__(MODELS, "int_customer_actions__unioned", ACTIONS, [], **settings)
        self.zone, self.rates = zone, list(rates)
        self.db.execute(f"create table int_exchange_rates__sighted ({RATES})")
        self.publish(rates, "run 0")

    @property
    def again(self):
        return functools.partial(Warehouse, self.zone, self.rates)

    @again.setter
    def again(self, _):
        pass

    def publish(self, rates, run):
        """Rates to the base currency: (currency, rate, day, day on which it came)."""
        self.rates = list({*self.rates, *rates})
        for currency, rate, day, came in rates:
            row = [currency, "EUR", rate, day, came, run]
            self.db.execute("insert into int_exchange_rates__sighted values (?, ?, ?, ?, ?, ?)", row)

    def named(self, model):
        """Rows by their key, each a dict."""
        result = self.db.execute(f"from {model}")
        names = [column[0] for column in result.description]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
        return {tuple(row[name] for name in KEYS[model]): row for row in rows}


def an_action(number, kind, customer, occurred_at, observed_at, amount=None, currency="EUR", user=None):
    """A row of int_customer_actions__unioned; of a visit there is a user, and no customer."""
    system = customer.split(":")[0] if customer else "events"
    money = (currency, Decimal(amount)) if amount is not None else (None, None)
    return [f"{number:05d}", customer, user, system, kind, *money, occurred_at, observed_at]


def a_company(chance):
    """Actions of a year and some, and rates: a history that came at once, then days, of which some things come late.
    Of one shop and another, in which a user has the same number."""
    began, rows, rates = BEGIN + 100 * DAY, [], []

    def add(kind, customer, at, **told):
        wait = chance.choice([0, 0, 0, 0, 5, 30, 400, 2500]) * HOUR
        came = max(at + wait + chance.randrange(60) * timedelta(minutes=1), began)
        rows.append(an_action(len(rows), kind, customer, at, came, **told))

    customers = [("shop:1", "1"), ("shop:2", "2"), ("shop:3", "3"), ("till:1", "1"), ("shop:5", None)]
    for customer, user in customers:
        opened = at = BEGIN + chance.randrange(200) * DAY
        if user:
            add("account opened", customer, opened, user=user)
        pace = chance.choice([1, 5, 30])
        while at < BEGIN + DAYS * DAY:
            at += timedelta(hours=chance.randrange(1, 48 * pace), seconds=chance.choice([0, 7]))
            amount = f"{chance.randrange(10000) / 100:.2f}"
            kind = chance.choice(["order placed"] * 6 + ["refund"])
            add(kind, customer, at, amount=amount, currency=chance.choice(["EUR", "EUR", "USD", "JPY"]))
            if chance.random() < 0.2:  # the very midnight, of whatever zone
                midnight = datetime.combine(at.date(), time(), ZoneInfo(chance.choice(ZONES)))
                add("order placed", customer, midnight.astimezone(UTC).replace(tzinfo=None), amount="5")
    for _ in range(150):
        at = BEGIN + chance.randrange(DAYS * 24) * HOUR
        add("visit", None, at, user=chance.choice(["1", "2", "3", "nobody"]))
    for number in range(0, DAYS, 3):
        day = (BEGIN + number * DAY).date()
        if chance.random() < 0.7:
            came = max(day + chance.choice([0, 0, 1, 2, 9]) * DAY, began.date())
            rates.append(("USD", Decimal(f"{chance.randrange(80, 120)}") / 100, day, came))
    rows.sort(key=lambda row: row[8])
    return rows, rates


# ---- what a plain loop finds


def _dated(rows, rates, zone):
    """Actions of accounts with the days in which they happened, and from whose end on they count."""
    local = ZoneInfo(zone)

    def day(at):
        return at.replace(tzinfo=UTC).astimezone(local).date()

    first, users = {}, {}
    for _, customer, user, system, *_, observed_at in sorted(rows, key=lambda row: (row[8], row[1] or "")):
        if customer:
            first.setdefault(system, day(observed_at))
            if user:
                users.setdefault(user, (customer, system, day(observed_at)))
    for _, customer, user, system, kind, currency, amount, occurred_at, observed_at in rows:
        came = day(observed_at)
        if not customer:
            if user not in users:
                continue
            customer, system, known = users[user]
            came = max(came, known)
        happened = day(occurred_at - timedelta(microseconds=1))
        counts = happened if came <= first[system] else max(happened, came)
        rate = Decimal(1) if currency == "EUR" else None
        found = [
            (rate_day, value)
            for code, value, rate_day, rate_came in rates
            if code == currency and rate_day <= happened <= rate_day + 7 * DAY and rate_came <= max(came, first[system])
        ]
        if found:
            _, rate = max(found)
        base = None if rate is None or amount is None else (amount * rate).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        told = came if kind != "visit" else None
        yield SimpleNamespace(
            customer=customer, system=system, kind=kind, base=base, happened=happened, known=counts, told=told
        )


def _sum(orders):
    return None if any(order.base is None for order in orders) else sum((order.base for order in orders), Decimal(0))


def _features(known, today):
    """Of what was known of an account at the midnight with which a day begins."""

    def within(kind, days):
        return [a for a in known if a.kind == kind and (days is None or (today - a.happened).days <= days)]

    def ago(kind, which):
        days = [(today - a.happened).days for a in within(kind, None)]
        return which(days) if days else None

    orders = within("order placed", None)
    order_days = sorted({order.happened for order in orders})
    gaps = [(after - before).days for before, after in pairwise(order_days)]
    since, since_first = ago("order placed", min), ago("order placed", max)
    median, long = (float(np.percentile(gaps, each)) if gaps else None for each in (50, 95))
    long = round(long, 2) if len(gaps) >= 5 else None
    total = _sum(orders)
    found = {
        "account_age_days": ago("account opened", max),
        "days_since_order": since,
        "days_since_first_order": since_first,
        "days_since_visit": ago("visit", min),
        "unrated_order_count": sum(order.base is None for order in orders),
        "order_day_count": len(order_days),
        "refund_count_90d": len(within("refund", 90)),
        "refund_amount_base_90d": _sum(within("refund", 90)),
        "mean_order_amount_base": float(total) / len(orders) if orders and total is not None else None,
        "repeat_order_days_per_year": (len(order_days) - 1) * 365 / since_first if orders else None,
        "median_order_gap_days": median,
        "long_order_gap_days": long,
        "days_since_order_in_gaps": since / median if gaps else None,
        "is_silent": since > long if long is not None else None,
    }
    for suffix, days in (("_30d", 30), ("_90d", 90), ("_365d", 365), ("", None)):
        found["order_count" + suffix] = len(within("order placed", days))
        found["order_amount_base" + suffix] = _sum(within("order placed", days))
    for days in (7, 30, 90):
        found[f"visit_day_count_{days}d"] = len({visit.happened for visit in within("visit", days)})
    return found


def expected(rows, rates, zone):
    """Features and labels, by their keys."""
    features, labels, of_customer, of_system = {}, {}, defaultdict(list), defaultdict(list)
    for action in _dated(rows, rates, zone):
        of_customer[action.customer].append(action)
        if action.told:
            of_system[action.system].append(action)

    def midnight(day):
        return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None)

    for customer, actions in of_customer.items():
        system = of_system[actions[0].system]
        until = min(max(a.told for a in system), max(a.happened for a in system))
        today = min(a.known for a in actions if a.told) + DAY
        while today <= until:
            at = midnight(today)
            key = {"entity_id": customer, "feature_at": at, "available_at": at}
            features[customer, at] = key | _features([a for a in actions if a.known < today], today)
            for number in HORIZONS:
                if (end := today + number * DAY) <= until:
                    placed = [
                        a for a in actions if a.kind == "order placed" and today <= a.happened < end and a.known < end
                    ]
                    labels[customer, at, number] = {
                        "entity_id": customer, "horizon_days": number, "next_order_count": len(placed),
                        "next_order_amount_base": _sum(placed), "has_order": bool(placed), "label_at": at,
                        "label_available_at": midnight(end),
                    }  # fmt: skip
            today += DAY
    return {"ftr_customers_daily": features, "fct_customer_labels": labels}


def assert_equal(found, wanted, what):
    """Two tables' rows, by their keys."""
    assert found.keys() == wanted.keys(), what
    for key, row in found.items():
        assert row.keys() == wanted[key].keys(), what
        for column, value in row.items():
            assert value == wanted[key][column], (what, column, key)


# ---- whatever comes, and whenever


@pytest.mark.parametrize("seed", range(4))
def test_they_are_what_a_plain_loop_finds(seed):
    (rows, rates), zone = a_company(random.Random(seed)), ZONES[seed % 3]
    warehouse = Warehouse(zone, rates)
    warehouse.add(rows, "run")
    warehouse.build("run")
    for model, wanted in expected(rows, rates, zone).items():
        assert len(wanted) > 500
        assert_equal(warehouse.named(model), wanted, model)


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_later_changes_no_row(seed):
    """From the day after the first one on, with which the history has come."""
    chance = random.Random(seed)
    (rows, rates), zone = a_company(chance), ZONES[seed % 3]
    history = sum(row[8] < rows[0][8] + 2 * DAY for row in rows)
    number = chance.randrange(history, len(rows))
    came = rows[number - 1][8].replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()
    found = []
    for some_rows, some_rates in ((rows[:number], [rate for rate in rates if rate[3] <= came]), (rows, rates)):
        warehouse = Warehouse(zone, some_rates)
        warehouse.add(some_rows, "run")
        warehouse.build("run")
        found.append(warehouse)
    for model in KEYS:
        earlier, later = (warehouse.named(model) for warehouse in found)
        assert earlier and len(later) > len(earlier)
        assert_equal(earlier, {key: later[key] for key in earlier}, model)


@pytest.mark.parametrize("seed", range(4))
def test_they_do_not_depend_on_order_and_split(seed):
    chance = random.Random(seed)
    (rows, rates), zone = a_company(chance), ZONES[seed % 3]
    if seed % 2:
        chance.shuffle(rows)
    chance.shuffle(rates)
    warehouse = Warehouse(zone)
    cuts = sorted(chance.sample(range(1, len(rows)), 3))
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(rows)], strict=True)):
        warehouse.add(rows[start:end], f"run {number}")
        warehouse.publish(rates[number::4], f"run {number}")
        if chance.random() < 0.5:
            warehouse.build(f"run {number}, died", dies_after=chance.randrange(18))
        warehouse.build(f"run {number}")
    assert warehouse.differing() == []
