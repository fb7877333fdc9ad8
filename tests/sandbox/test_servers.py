import http.client
import json
import time
from datetime import date
from email.utils import parsedate_to_datetime
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from sandbox import exchange_rates
from sandbox.misbehave import Misbehave

DAY = date(2026, 10, 1)


@pytest.fixture
def server():
    server = exchange_rates.serve(lambda: DAY, seed=1)
    yield server
    server.stop()


def get(server, path):
    """Status, headers and body of an answer."""
    try:
        with urlopen(server.url + path) as answer:
            return answer.status, answer.headers, answer.read()
    except HTTPError as error:
        return error.code, error.headers, error.read()


def json_of(server, path):
    return json.loads(get(server, path)[2])


def test_a_range_has_working_days_only_and_begins_at_the_last_one_before(server):
    answer = json_of(server, "/v1/2026-03-07..2026-03-10?base=EUR&symbols=USD,GBP")  # 7 March is a Saturday
    assert list(answer) == ["amount", "base", "start_date", "end_date", "rates"]
    assert list(answer["rates"]) == ["2026-03-06", "2026-03-09", "2026-03-10"]
    assert (answer["start_date"], answer["end_date"]) == ("2026-03-06", "2026-03-10")
    assert all(set(day) == {"USD", "GBP"} and type(day["USD"]) is float for day in answer["rates"].values())
    year = json_of(server, "/v1/2025-10-01..2026-09-30")["rates"]
    assert 250 < len(year) < 262 and all(date.fromisoformat(day).weekday() < 5 for day in year)
    assert "2025-12-25" not in year and "2026-04-03" not in year
    assert list(json_of(server, "/v1/2026-09-29..")["rates"]) == ["2026-09-29", "2026-09-30"]


def test_a_date_answers_with_the_last_working_day(server):
    answer = json_of(server, "/v1/2026-03-08")
    assert answer["date"] == "2026-03-06" and answer["base"] == "EUR" and "EUR" not in answer["rates"]
    assert json_of(server, "/v1/latest")["date"] == "2026-09-30"


def test_other_bases_are_cross_rates(server):
    euro = json_of(server, "/v1/2026-03-06")["rates"]
    dollar = json_of(server, "/v1/2026-03-06?base=USD")["rates"]
    assert dollar["JPY"] == pytest.approx(euro["JPY"] / euro["USD"], rel=1e-4)
    assert dollar["EUR"] == pytest.approx(1 / euro["USD"], rel=1e-4)


def test_currencies_name_what_is_quoted(server):
    currencies = json_of(server, "/v1/currencies")
    assert currencies["USD"] == "United States Dollar"
    assert currencies.keys() - {"EUR"} == json_of(server, "/v1/latest")["rates"].keys()


@pytest.mark.parametrize("path", ["/v1/1998-01-02", "/v1/2099-01-01..", "/v1/latest?base=XXX", "/v1/latest/more", "/"])
def test_what_is_not_there_is_a_404_in_json(server, path):
    status, _, body = get(server, path)
    assert (status, json.loads(body)) == (404, {"message": "not found"})


@pytest.mark.parametrize("path", ["/v1/2026-02-30", "/v1/latest?base=USD&symbols=USD"])
def test_what_makes_no_sense_is_a_422(server, path):
    status, _, body = get(server, path)
    assert status == 422 and json.loads(body)["message"]


def test_rates_depend_on_the_seed_and_the_past_does_not_change():
    assert exchange_rates.rates(1, DAY) != exchange_rates.rates(2, DAY)
    past, now = exchange_rates.rates(1, date(2026, 1, 1)), exchange_rates.rates(1, DAY)
    assert past.items() <= now.items()


@pytest.mark.parametrize("fault", ["429", "500", "502", "503", "401", "403"])
def test_a_refusal_comes_as_often_as_asked_then_all_is_well(server, fault):
    server.misbehave.next(fault, times=2)
    assert [get(server, "/v1/latest")[0] for _ in range(3)] == [int(fault), int(fault), 200]


def test_retry_after_in_seconds_as_a_date_or_not_at_all(server):
    server.misbehave.next("429", retry_after=7)
    server.misbehave.next("503", retry_after=60, as_date=True)
    server.misbehave.next("429")
    first, second, third = (get(server, "/v1/latest")[1]["Retry-After"] for _ in range(3))
    assert first == "7" and third is None
    assert 50 < parsedate_to_datetime(second).timestamp() - time.time() < 61


def test_a_cut_body_is_shorter_than_promised(server):
    server.misbehave.next("cut")
    with pytest.raises(http.client.IncompleteRead):
        get(server, "/v1/latest")
    assert get(server, "/v1/latest")[0] == 200


def test_a_200_may_be_a_page_or_an_error(server):
    server.misbehave.next("html")
    server.misbehave.next("error")
    status, headers, body = get(server, "/v1/latest")
    assert (status, headers["Content-Type"]) == (200, "text/html") and b"<html>" in body
    assert "error" in json_of(server, "/v1/latest")


def test_slow_answers_and_drifting_pages(server):
    server.misbehave.next("slow", seconds=0.3)
    server.misbehave.next("drift", change=lambda answer: answer | {"base": "moved"})
    began = time.monotonic()
    assert json_of(server, "/v1/latest")["base"] == "EUR" and time.monotonic() - began > 0.3
    assert json_of(server, "/v1/latest")["base"] == "moved"


def test_a_fault_may_wait_for_its_path_and_requests_are_logged(server):
    server.misbehave.next("503", path="currencies")
    get(server, "/v1/latest?base=USD")
    get(server, "/v1/currencies")
    seen = [tuple(request) for request in server.misbehave.requests]
    assert seen == [("GET", "/v1/latest", "base=USD", 200), ("GET", "/v1/currencies", "", 503)]


def test_faults_from_the_environment_reach_their_system_only(server):
    server.misbehave.configure(
        "exchange_rates", "hubspot:500:9, exchange_rates:503:2,exchange_rates:429:1:retry_after=1"
    )
    answers = [get(server, "/v1/latest") for _ in range(4)]
    assert [status for status, _, _ in answers] == [503, 503, 429, 200]
    assert answers[2][1]["Retry-After"] == "1"
    with pytest.raises(ValueError, match="unknown fault"):
        Misbehave().next("504x")
