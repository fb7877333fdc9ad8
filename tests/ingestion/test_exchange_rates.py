"""The exchange-rate loader against the sandbox's service."""

from datetime import UTC, date, datetime, timedelta

import pytest
from conftest import counts

from ingestion.errors import SourceError
from ingestion.exchange_rates import Reader
from ingestion.stream import Window
from ingestion.systems import all_systems
from sandbox import exchange_rates

TODAY = datetime.now(UTC).date()
START = TODAY - timedelta(days=30)
CURRENCIES = len(exchange_rates.CURRENCIES) + 1


class Service:
    """The sandbox's service, at a clock of the test's own."""

    def __init__(self) -> None:
        self.clock = TODAY - timedelta(days=1)
        self.server = exchange_rates.serve(lambda: self.clock, seed=1)
        self.misbehave = self.server.misbehave

    def days(self, first: date, last: date) -> int:
        """How many days of that range have rates."""
        return sum(first <= day <= last for day in exchange_rates.rates(1, self.clock))

    def ranges(self) -> list[str]:
        """The ranges of days asked for since the last call."""
        asked = [request.path.removeprefix("/v1/") for request in self.misbehave.requests if ".." in request.path]
        self.misbehave.requests.clear()
        return asked


@pytest.fixture
def service(monkeypatch, short_waits):
    service = Service()
    monkeypatch.setenv("SOURCES__EXCHANGE_RATES__BASE_URL", f"{service.server.url}/v1")
    monkeypatch.setenv("SOURCES__EXCHANGE_RATES__START", str(START))
    yield service
    service.server.stop()


def distinct_days(warehouse):
    return warehouse.query("select count(distinct rate_date) from raw_exchange_rates.rates")[0][0]


def test_first_and_next_runs(service, warehouse):
    first = warehouse.run("exchange_rates")
    assert {row["status"] for row in first.values()} == {"complete"}
    days = distinct_days(warehouse)
    assert days in (service.days(START, TODAY), service.days(START, TODAY) + 1), "it may begin with the day before"
    assert counts(first["rates"]) == (days * (CURRENCIES - 1),) * 2 + (0, 0, 0)
    assert counts(first["currencies"]) == (CURRENCIES, CURRENCIES, 0, 0, 0)
    assert service.ranges() == [f"{START}..{TODAY}"]
    day, quotes = max(exchange_rates.rates(1, service.clock).items())
    found = warehouse.query("select currency, rate::double from raw_exchange_rates.rates where rate_date = ?", day)
    assert dict(found) == quotes
    columns = "_scope, _scope_rows, _key, _position"
    query = f"select {columns} from raw_exchange_rates.rates where currency = 'USD' and rate_date = ?"
    ((scope, rows, key, position),) = warehouse.query(query, day)
    assert (scope, rows, key) == (f"EUR/{day}", CURRENCIES - 1, f'["EUR","USD","{day}"]')
    assert position.startswith(f"/v1/{START}..{TODAY}?base=EUR ")

    again = warehouse.run("exchange_rates")
    newest = date.fromisoformat(str(day))
    assert service.ranges() == [f"{newest - Reader.REREAD}..{TODAY}"], "from some days before the newest rate on"
    assert counts(again["rates"])[1:] == (0, again["rates"]["rows_read"], 0, 0) and again["rates"]["rows_read"] > 0
    assert counts(again["currencies"]) == (CURRENCIES, 0, CURRENCIES, 0, 0)


def test_a_service_that_lags_behind_loses_no_day(service, warehouse):
    service.clock = TODAY - timedelta(days=25)
    warehouse.run("exchange_rates")
    service.clock = TODAY
    warehouse.run("exchange_rates")
    assert distinct_days(warehouse) >= service.days(START, TODAY)


def test_corrected_rate(service, warehouse):
    """The day whose rate was corrected is appended whole; the others are not."""
    warehouse.run("exchange_rates", streams=("rates",))
    day = str(max(exchange_rates.rates(1, service.clock)))

    def correct(answer):
        answer["rates"][day]["USD"] = 1.5
        return answer

    service.misbehave.next("drift", path="..", change=correct)
    row = warehouse.run("exchange_rates", streams=("rates",))["rates"]
    assert row["rows_loaded"] == CURRENCIES - 1 and row["rows_unchanged"] > 0


def test_rejected_rates(service, warehouse):
    def spoil(answer):
        day = min(answer["rates"])
        answer["rates"][day].update(USD="n/a", GBP=None, JPY="1,2")
        answer["rates"]["2026-02-30"] = {"USD": 1}
        return answer

    service.misbehave.next("drift", path="..", change=spoil)
    row = warehouse.run("exchange_rates", streams=("rates",))["rates"]
    assert row["rows_rejected"] == 4 and row["status"] == "complete"
    reasons = warehouse.query("select reason from raw_operations.rejected_rows order by all")
    assert [reason for (reason,) in reasons] == [
        "rate: '1,2' is not a decimal(28,12)",
        "rate: 'n/a' is not a decimal(28,12)",
        "rate: is missing",
        "rate_date: '2026-02-30' is not a date",
    ]


def test_since_and_until(service, warehouse):
    since = datetime.combine(TODAY - timedelta(days=20), datetime.min.time(), UTC)
    until = since + timedelta(days=7)
    row = warehouse.run("exchange_rates", streams=("rates",), since=since, until=until)["rates"]
    assert service.ranges() == [f"{since.date()}..{until.date() - timedelta(days=1)}"], "until is exclusive"
    assert (row["cursor_from"], row["cursor_to"]) == (since, until)
    warehouse.run("exchange_rates", streams=("rates",))
    assert service.ranges() == [f"{START}..{TODAY}"], "a bounded run moves no bound"


def test_long_ranges_are_read_in_pages(service, warehouse, monkeypatch):
    monkeypatch.setattr(Reader, "PAGE", timedelta(days=9))
    warehouse.run("exchange_rates", streams=("rates",))
    assert [asked.split("..")[0] for asked in service.ranges()] == [
        str(START + timedelta(days=10 * number)) for number in range(4)
    ]
    assert distinct_days(warehouse) >= service.days(START, TODAY)


def test_passing_faults(service, warehouse):
    for fault in ("429", "503", "cut", "html"):
        service.misbehave.next(fault, path="..")
        service.misbehave.next(fault, path="currencies")
    assert {row["status"] for row in warehouse.run("exchange_rates").values()} == {"complete"}
    assert len(service.misbehave.requests) == 10


def test_lasting_faults_fail_one_stream(service, warehouse):
    service.misbehave.next("503", times=6, path="currencies")
    ledger = warehouse.run("exchange_rates")
    assert (ledger["currencies"]["status"], ledger["rates"]["status"]) == ("failed", "complete")
    assert "/v1/currencies: the server answered 503 Service Unavailable, in 6 attempts" in ledger["currencies"]["error"]


def test_error_in_a_200_is_no_data(service, warehouse):
    """What was loaded stays current; the next run goes on."""
    warehouse.run("exchange_rates")
    service.misbehave.next("error", path="currencies")
    service.misbehave.next("error", path="..")
    ledger = warehouse.run("exchange_rates")
    assert {(row["status"], *counts(row)) for row in ledger.values()} == {("failed", 0, 0, 0, 0, 0)}
    assert "EUR is not in the answer" in ledger["currencies"]["error"]
    assert "has no rates of EUR: {'error'" in ledger["rates"]["error"]
    assert warehouse.query("select count(*) from raw_exchange_rates.currencies") == [(CURRENCIES,)]


def read(service, stream, **options):
    """What the reader gives, without loading it."""
    options = {"base_url": f"{service.server.url}/v1", "base": "EUR", "start": str(START)} | options
    (stream,) = [s for s in all_systems()["exchange_rates"].streams if s.name == stream]
    return list(Reader(**options).read(stream, Window(None, None, False, {})))


def test_base(service):
    (page,) = read(service, "rates", base="USD")
    assert {item["base_currency"] for item in page.rows.objects} == {"USD"}
    service.misbehave.next("drift", path="..", change=lambda answer: answer | {"base": "USD"})
    with pytest.raises(SourceError, match="has no rates of EUR"):
        read(service, "rates")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("base", "XXX", "has no rates of XXX: check the options base_url and base"),
        ("base_url", "localhost", r"localhost/.* is not a URL: correct the option base_url"),
        ("start", str(TODAY + timedelta(days=3)), "has no rates of EUR: check the options"),
    ],
)
def test_wrong_options(service, option, value, message):
    """Nothing to read is a clear failure, not an empty success."""
    with pytest.raises(SourceError, match=message):
        read(service, "rates", **{option: value})


def test_wrong_start(service, warehouse, monkeypatch):
    monkeypatch.setenv("SOURCES__EXCHANGE_RATES__START", "01.02.2026")
    assert warehouse.run("exchange_rates") == {}
    expected = "SOURCES__EXCHANGE_RATES__START is '01.02.2026': write a day as 2020-01-31"
    assert warehouse.errors == {"exchange_rates": expected}


def test_check(service):
    reader = all_systems()["exchange_rates"].connect()
    rates, currencies = all_systems()["exchange_rates"].streams
    assert reader.check(rates).startswith(f"{CURRENCIES - 1} rates of ")
    assert reader.check(currencies) == f"{CURRENCIES} currencies"
    reader.close()
