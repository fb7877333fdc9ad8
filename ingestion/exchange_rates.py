"""Daily reference rates of the European Central Bank, from a service in the form of Frankfurter v1."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta

import dlt

from ingestion.contract import Rate, contract, field, items
from ingestion.errors import SourceError
from ingestion.http import Answer, Client, NotFound
from ingestion.reading import resources
from ingestion.stream import Page, Run, Snapshot, Stream, Window


@contract
class Rates:
    """One currency's rate on one working day: one unit of the base currency costs `rate` units of it."""

    base_currency: str = field("Currency that is priced (ISO 4217).", key=True)
    currency: str = field("Currency that the price is in (ISO 4217).", key=True)
    rate_date: date = field("Day of the rate, as fixed by the ECB at about 14:15 UTC.", key=True)
    rate: Rate = field("Units of `currency` for one unit of `base_currency`.")


@contract
class Currencies:
    """One currency that the service quotes."""

    currency: str = field("Currency code (ISO 4217).", key=True)
    currency_name: str = field("Name of the currency in English.")


STREAMS = [
    Stream("rates", Rates, Snapshot(scope=("base_currency", "rate_date")), cursor="rate_date"),
    Stream("currencies", Currencies, Snapshot()),
]


class Reader:
    """Reads /{start}..{end}?base= (the rates of all currencies, on working days only) and /currencies.

    Rates come a year per request; those of the last `REREAD` days again each run, since one can be corrected.
    """

    REREAD = timedelta(days=10)
    PAGE = timedelta(days=365)

    def __init__(self, base_url: str, base: str, start: str) -> None:
        self.client, self.base, self.start = Client(base_url), base, _date(start)

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields pages that each hold whole scopes: all currencies of every day in them."""
        if stream.name == "currencies":
            answer = self.client.get("currencies")
            if self.base not in answer.json:
                raise SourceError(f"currencies: {self.base} is not in the answer: {str(answer.json)[:200]}")
            yield self._page(answer, ({"currency": c, "currency_name": n} for c, n in answer.json.items()), ["all"])
            return
        last = (window.until - timedelta(microseconds=1) if window.until else datetime.now(UTC)).date()
        first = self.start
        if window.since:
            first = window.since.date() - (timedelta() if window.is_partial else self.REREAD)
        while first <= last:
            until = min(first + self.PAGE, last)
            if answer := self._rates(first, until):
                yield self._rates_page(answer)
                # Not today: the service may lag behind by more than what is read again.
                window.reached = datetime.combine(_date(max(answer.json["rates"])), time(), UTC)
            first = until + timedelta(days=1)
        if not window.reached and not window.is_partial:
            raise SourceError(
                f"{self.client.base_url} has no rates of {self.base}: check the options base_url and base"
            )

    def check(self, stream: Stream) -> str:
        """What the service has; raises SourceError if it doesn't answer in its form."""
        if stream.name == "currencies":
            return f"{len(self.client.get('currencies').json)} currencies"
        latest = self.client.get("latest", base=self.base).json
        return f"{len(latest['rates'])} rates of {latest['date']}"

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()

    def _rates(self, first: date, last: date) -> Answer | None:
        """The rates of a range of days; None where it has no working day."""
        try:
            answer = self.client.get(f"{first}..{last}", base=self.base)
        except NotFound:
            return None
        if "rates" not in answer.json or answer.json.get("base") != self.base:
            raise SourceError(f"{first}..{last}: the answer has no rates of {self.base}: {str(answer.json)[:200]}")
        return answer if answer.json["rates"] else None

    def _rates_page(self, answer: Answer) -> Page:
        rates = (
            {"base_currency": self.base, "currency": currency, "rate_date": day, "rate": rate}
            for day, rates in answer.json["rates"].items()
            for currency, rate in rates.items()
        )
        return self._page(answer, rates)

    def _page(self, answer: Answer, rows: Iterable[dict], scopes: list[str] | None = None) -> Page:
        return Page(items(rows, answer.path), answer.observed_at, scopes=scopes)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SourceError(f"SOURCES__EXCHANGE_RATES__START is {text!r}: write a day as 2020-01-31") from None


@dlt.source
def exchange_rates(
    base_url: str = dlt.config.value, base: str = "EUR", start: str = "2020-01-01", run: Run | None = None
):
    """The rates of every currency against `base`, from the day `start` on, and the list of currencies.

    `base_url` is the service, up to its version: https://api.frankfurter.dev/v1 is the public one.
    """
    return resources(STREAMS, Reader(base_url, base, start), run, is_concurrent=True)
