"""The exchange-rate service in the form of Frankfurter v1: daily reference rates against the euro, working days only.

As the public service does: a date answers with the last working day before it; a range begins with the last working
day on or before its start; no rates (before the first day, a start in the future, an unknown base) is a 404, a date
that does not exist or a base that is its own only symbol a 422.
"""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial

from sandbox.misbehave import Response
from sandbox.server import Call, Server

FIRST_DAY = date(2025, 8, 1)
HOLIDAYS = {"01-01", "05-01", "12-25", "12-26"}
EASTER = {"2026-04-03", "2026-04-06", "2027-03-26", "2027-03-29"}
CURRENCIES = {  # code: name and the rate at which its walk begins
    "AUD": ("Australian Dollar", 1.78), "BRL": ("Brazilian Real", 6.3), "CAD": ("Canadian Dollar", 1.6),
    "CHF": ("Swiss Franc", 0.94), "CNY": ("Chinese Renminbi Yuan", 8.3), "CZK": ("Czech Koruna", 24.5),
    "DKK": ("Danish Krone", 7.46), "GBP": ("British Pound", 0.87), "HKD": ("Hong Kong Dollar", 9.1),
    "HUF": ("Hungarian Forint", 395.0), "IDR": ("Indonesian Rupiah", 19200.0), "ILS": ("Israeli New Shekel", 3.9),
    "INR": ("Indian Rupee", 102.0), "ISK": ("Icelandic Króna", 142.0), "JPY": ("Japanese Yen", 172.0),
    "KRW": ("South Korean Won", 1630.0), "MXN": ("Mexican Peso", 21.7), "MYR": ("Malaysian Ringgit", 4.9),
    "NOK": ("Norwegian Krone", 11.7), "NZD": ("New Zealand Dollar", 2.0), "PHP": ("Philippine Peso", 67.0),
    "PLN": ("Polish Złoty", 4.26), "RON": ("Romanian Leu", 5.08), "SEK": ("Swedish Krona", 11.1),
    "SGD": ("Singapore Dollar", 1.51), "THB": ("Thai Baht", 37.8), "TRY": ("Turkish Lira", 48.5),
    "USD": ("United States Dollar", 1.17), "ZAR": ("South African Rand", 20.3),
}  # fmt: skip


def rates(seed: int, until: date) -> dict[date, dict[str, float]]:
    """Rates against the euro of every working day before `until`: a random walk, the same for the same seed."""
    rng = random.Random(f"exchange_rates {seed}")
    walk = {code: start for code, (_, start) in CURRENCIES.items()}
    table, day = {}, FIRST_DAY
    while day < until:
        if day.weekday() < 5 and not (HOLIDAYS | EASTER) & {str(day), str(day)[5:]}:
            walk = {code: rate * (1 + rng.gauss(0, 0.004)) for code, rate in walk.items()}
            table[day] = {code: _rounded(rate) for code, rate in walk.items()}
        day += timedelta(days=1)
    return table


def _rounded(rate: float) -> float:
    """About five significant digits, as rates are quoted."""
    for above, digits in ((5000, 0), (80, 2), (20, 3), (1, 4), (0.0001, 5)):
        if rate > above:
            return round(rate, digits)
    return round(rate, 6)


def serve(clock: Callable[[], date], seed: int) -> Server:
    """Starts the service; its rates end before the day that `clock` gives at each request."""
    table = cache(partial(rates, seed))

    def days(query: dict[str, str], first: date, last: date) -> dict[str, dict[str, float]]:
        """The rates asked for, by day: from the last working day on or before `first`."""
        base = (query.get("from") or query.get("base") or "EUR").upper()
        symbols = (query.get("to") or query.get("symbols") or "").upper().split(",")
        if symbols == [base]:
            raise ValueError("bad currency pair")
        if first > max(clock(), datetime.now(UTC).date()):
            return {}
        known = table(clock())
        first = max((day for day in known if day <= first), default=first)
        found = {}
        for day, quotes in known.items():
            if first <= day <= last and base in (against := {"EUR": 1.0, **quotes}):
                wanted = {c: r for c, r in sorted(against.items()) if c != base and (symbols == [""] or c in symbols)}
                if base != "EUR":
                    wanted = {code: _rounded(rate / against[base]) for code, rate in wanted.items()}
                if wanted:
                    found[str(day)] = wanted
        return found

    def answer(call: Call, first: str, last: str | None = None, is_range: bool = True) -> Response:
        query = call.query
        try:
            begin, end = date.fromisoformat(first), date.fromisoformat(last) if last else date.max
            found = days(query, begin, end if is_range else begin)
        except ValueError as error:
            return Response.json(422, {"message": str(error)})
        if not found:
            return NOT_FOUND
        head = {"amount": 1.0, "base": (query.get("from") or query.get("base") or "EUR").upper()}
        if is_range:
            return Response.json(200, head | {"start_date": min(found), "end_date": max(found), "rates": found})
        return Response.json(200, head | {"date": max(found), "rates": found[max(found)]})

    a_date = r"(\d{4}-\d{2}-\d{2})"
    names = {code: name for code, (name, _) in CURRENCIES.items()} | {"EUR": "Euro"}
    return Server(
        {
            rf"GET /v1/{a_date}": lambda call, day: answer(call, day, is_range=False),
            rf"GET /v1/{a_date}\.\.{a_date}?": answer,
            r"GET /v1/latest": lambda call: answer(call, str(clock()), is_range=False),
            r"GET /v1/currencies": lambda call: Response.json(200, dict(sorted(names.items()))),
        },
        NOT_FOUND,
    )


NOT_FOUND = Response.json(404, {"message": "not found"})
