"""Sessions are the same after any order of arrival and any split into builds, and are what METRICS says they are."""

import functools
import random
from collections import defaultdict
from datetime import datetime, timedelta
from hashlib import md5

import building
import pytest

MODELS = [
    "intermediate/web/int_web_events__sessionized",
    "intermediate/web/int_web_sessions__aggregated",
    "intermediate/web/int_funnel_steps__reached",
    "intermediate/web/int_traffic_sources__channelled",
    "marts/web/fct_web_sessions",
    "marts/web/fct_page_views",
    "marts/web/fct_screen_views",
    "marts/web/fct_traffic_daily",
    "marts/web/fct_funnel_daily",
]
TIMEOUT = timedelta(minutes=30)
EVENTS = """
    event_id text, visitor_id text, user_id text, order_id text, source_system text, event_type text, event_name text,
    page_name text, page_title text, page_url text, page_referrer text, campaign_name text, campaign_source text,
    campaign_medium text, platform text, is_bot boolean, occurred_at timestamp
"""
SEEDS = ("funnel_steps", "channel_rules", "traffic_sources")
Project = functools.partial(building.Project, MODELS, "int_web_events__unioned", EVENTS, SEEDS)


def some_events(chance):
    """Events in any order: close ones, ones exactly 30 minutes apart, ones at the same time, and some that are told
    again with another time or of another visitor."""
    events = []
    for visitor in [*(f"events:{number}" for number in range(8)), None]:
        at = datetime(2026, 3, 28, 20)
        for _ in range(chance.randint(1, 30)):
            at += chance.choice(
                [timedelta(0), timedelta(minutes=1), TIMEOUT, TIMEOUT + timedelta(seconds=1), 4 * TIMEOUT]
            )
            events.append(an_event(chance, len(events), visitor, at))
    for event in chance.sample(events, 15):
        number = int(event[0])
        visitor = chance.choice([event[1], "events:0"])
        events.append(an_event(chance, number, visitor, event[16] + chance.choice([-1, 1]) * 2 * TIMEOUT))
    chance.shuffle(events)
    return events


def an_event(chance, number, visitor, at):
    kind = chance.choice(["page", "page", "screen", "track", "identify"])
    name = chance.choice(["Product Added", "Checkout Started", "Order Completed"]) if kind == "track" else None
    url = f"https://www.coffee.example/coffee/{chance.randrange(3)}" if kind == "page" else None
    campaign = chance.choice([None, None, None, "spring", "summer"]) if kind == "page" else None
    empty = [None] * 2
    return [
        *(f"{number:04d}", visitor, None, None, "events", kind, name, None, None, url),
        *("https://www.google.com/" if url else None, campaign, *empty, "web", False, at),
    ]


def sessions(events, is_cut_at_campaign=False):
    """The sessions of the newest tellings: {session id: [event ids]}."""
    of_visitor, found = defaultdict(list), defaultdict(list)
    for event in {event[0]: event for event in events}.values():
        if event[1]:
            of_visitor[event[1]].append(event)
    for visitor, own in of_visitor.items():
        before, carried = None, None
        for event in sorted(own, key=lambda event: (event[16], event[0])):
            campaign = event[11]
            is_other = is_cut_at_campaign and campaign and campaign != carried
            if before is None or event[16] - before > TIMEOUT or is_other:
                key, carried = md5(f"{visitor} {event[0]}".encode()).hexdigest(), None
            carried, before = campaign or carried, event[16]
            found[key].append(event[0])
    return dict(found)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("is_cut_at_campaign", [False, True])
@pytest.mark.parametrize("is_cut_at_midnight", [False, True])
def test_sessions_do_not_depend_on_order_and_split(seed, is_cut_at_campaign, is_cut_at_midnight):
    chance = random.Random(seed)
    events = some_events(chance)
    options = {"is_session_cut_at_campaign": is_cut_at_campaign, "is_session_cut_at_midnight": is_cut_at_midnight}
    project, cuts = Project(**options), sorted(chance.sample(range(1, len(events)), 4))
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(events)], strict=True)):
        project.add(events[start:end], f"run {number}")
        if chance.random() < 0.5:
            project.build(f"run {number}, died", dies_after=chance.randrange(45))
        project.build(f"run {number}")
    assert project.differing() == []
    if not is_cut_at_midnight:
        found = project.db.execute("""
            select session_id, list(event_id order by occurred_at, event_id) from int_web_events__sessionized
            where session_id is not null group by 1
        """)
        assert dict(found.fetchall()) == sessions(events, is_cut_at_campaign)


def test_views_of_one_moment_are_told_apart_by_their_ids():
    """Also where another campaign's session begins at the moment of the view before it."""
    at, views = datetime(2026, 1, 1, 9, 50), [(0, "A"), (10, "A"), (10, "B"), (35, None), (60, None), (64, None)]
    events = [an_event(random.Random(0), n, "events:v", at + timedelta(minutes=m)) for n, (m, _) in enumerate(views)]
    for event, (_, campaign) in zip(events, views, strict=True):
        event[5], event[11] = "page", campaign
    project, anew = Project(is_session_cut_at_campaign=True), Project(is_session_cut_at_campaign=True)
    project.add(events[:5], "run 0")
    project.build("run 0")
    project.add(events[5:], "run 1")
    project.build("run 1")
    anew.add(events, "run 0")
    anew.build("run 0")
    entrances = [row[0] for row in anew.rows("fct_page_views") if row[9]]
    assert entrances == ["0000", "0002"]
    assert project.rows("fct_page_views") == anew.rows("fct_page_views")


def test_funnels_of_steps_that_were_built_later():
    project = Project()
    events = some_events(random.Random(2))
    project.add(events[:50], "run 0")
    project.build("run 0")
    project.add(events[50:], "run 1")
    project.build("run 1", without=["int_funnel_steps__reached"])
    project.build("run 2")
    assert project.differing() == []


def a_view(number, visitor, minutes):
    event = an_event(random.Random(0), number, visitor, datetime(2026, 1, 1, 9) + timedelta(minutes=minutes))
    return [*event[:5], "page", None, *event[7:11], None, *event[12:]]


RUNS = [
    [(1, "events:a", 0), (2, "events:a", 50), (8, "events:d", 3 * 24 * 60), (9, "events:b", 0)],
    [(3, "events:a", 25), (4, "events:c", 3 * 24 * 60)],
    [(3, "events:b", 500), (4, "events:c", 5 * 24 * 60)],
]


@pytest.fixture(scope="module")
def anew():
    """What one build makes of all RUNS."""
    project = Project()
    project.add([a_view(*event) for run in RUNS for event in run], "run 0")
    project.build("run 0")
    return project


@pytest.mark.parametrize("dies_after", range(45))
def test_events_that_are_told_anew_after_a_run_that_died(anew, dies_after):
    """That had written them where they were then, and each statement for good, as a cluster does."""
    project = Project()
    for number, run in enumerate(RUNS):
        project.add([a_view(*event) for event in run], f"run {number}")
        project.build(f"run {number}", dies_after=dies_after if number == 1 else 99)
    for path in MODELS:
        name = path.split("/")[-1]
        assert project.rows(name) == anew.rows(name), name


def test_an_event_without_a_visitor_that_has_the_id_of_another_visitor():
    project = Project()
    project.add([a_view(1, "events:a", 0), a_view(3, "events:a", 60)], "run 0")
    project.build("run 0")
    project.add([["events:a", *a_view(2, None, 40)[1:]]], "run 1")
    project.build("run 1")
    assert project.differing() == []


def test_sessions_that_ended_before_are_not_cut_anew():
    project, chance = Project(), random.Random(1)
    at = datetime(2026, 1, 1)
    events = [an_event(chance, number, "events:a", at + timedelta(hours=number)) for number in range(10)]
    project.add(events[:7] + events[8:], "run 0")
    project.add([an_event(chance, 99, "events:b", at)], "run 0")
    project.build("run 0")
    project.add([events[7]], "run 1")
    project.build("run 1")
    written = project.db.execute("select event_id from int_web_events__sessionized where built_in = 'run 1' order by 1")
    assert written.fetchall() == [("0007",), ("0008",), ("0009",)]


def test_a_first_build_lies_in_the_order_of_time():
    """So that later builds, which look for what is not long ago, skip the most of it."""
    project = Project()
    project.add(some_events(random.Random(3)), "run 0")
    project.build("run 0")
    times = [at for (at,) in project.db.execute("select occurred_at from int_web_events__sessionized").fetchall()]
    assert times == sorted(times)
