"""From the sandbox to the marts by the daily commands: every count and sum is the source's, whatever the dirt, and does
not depend on the order in which the rows came."""

import json
import re
import shutil
import tempfile
from pathlib import Path

import duckdb
import pytest

import sandbox
from tests.comparison import differences
from tests.copies import Copy
from tests.persons import TOLD, pairs

SCALE, DAYS = 0.05, 40
# Mailchimp no longer has what erased recipients did; we keep it.
KEPT = {("mailchimp", stream) for stream in ("email_activity", "unsubscribes", "sent_to")}

# The format of those that can't be read is told in no truth.
UNREAD_PICTURES = {"other/cut.jpg": ("broken", "jpeg"), "other/bomb.png": ("refused", "png")}


@pytest.fixture(scope="module")
def project():
    """A copy of the project, which has loaded nothing.

    Not below pytest's own folder: each pytest that starts shuts that to the user whom PostgreSQL runs as.
    """
    with tempfile.TemporaryDirectory(prefix="catchment-truth-") as folder:
        copy = Copy(Path(folder), SCALE)
        copy.environment["DBT_WRITE_JSON"] = "false"  # nothing here reads dbt's artifacts
        yield copy


@pytest.fixture(scope="module", params=["first day", f"{DAYS} days later"])
def query(project, request):
    """Queries the warehouse after `ingest` and `dbt build`, of the first day and then of two reads; the CSV files of
    the truth are its views true_<name>."""
    if request.param != "first day":
        sandbox.advance(DAYS, project.sandbox)
    project.run("python -m ingestion run")
    project.run("dbt build")

    def query(sql: str) -> list[tuple]:
        with duckdb.connect(str(project.warehouse / "sandbox.duckdb"), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            for path in (project.sandbox / "truth").glob("*.csv"):
                if (view := f"true_{path.stem}") in sql:  # to look into all of them takes longer than most queries
                    connection.execute(f"create temp view {view} as from read_csv('{path}', all_varchar = true)")
            return connection.execute(sql).fetchall()

    query.day = 0 if request.param == "first day" else DAYS
    return query


def truth(project, name: str) -> dict:
    return json.loads((project.sandbox / f"truth/{name}.json").read_text())


def test_every_table_has_the_rows_of_the_source(project, query):
    tables = truth(project, "tables")
    assert {table: query(f"select count(*) from staging.stg_shop__{table}")[0][0] for table in tables} == tables


def test_the_money_of_every_order_is_true(query):
    differing = query("""
        select * from (select * from marts.fct_orders where source_system = 'shop') as orders
        full join true_orders on orders.source_order_id = true_orders.order_id
        where orders.order_status is distinct from true_orders.order_status
            or orders.currency_code is distinct from true_orders.currency
            or orders.items_amount is distinct from cast(true_orders.items_total as decimal(18, 4))
            or orders.discount_amount is distinct from cast(true_orders.discount_total as decimal(18, 4))
            or orders.shipping_amount is distinct from cast(true_orders.shipping_total as decimal(18, 4))
            or orders.tax_amount is distinct from cast(true_orders.tax_total as decimal(18, 4))
            or orders.order_amount is distinct from cast(true_orders.order_total as decimal(18, 4))
    """)
    assert differing == []


def test_payments_and_refunds_are_true(query):
    differing = query("""
        with settled as (
            select replace(order_id, 'shop:', '') as order_id,
                sum(payment_amount) filter (transaction_type = 'payment' and payment_status = 'captured') as captured,
                sum(payment_amount) filter (transaction_type = 'refund') as refunded
            from marts.fct_payments group by 1
        )
        select * from true_orders left join settled using (order_id)
        where coalesce(settled.captured, 0) != cast(true_orders.captured_total as decimal(18, 4))
            or coalesce(settled.refunded, 0) != cast(true_orders.refunded_total as decimal(18, 4))
    """)
    assert differing == []


def test_orders_of_resellers_are_true(query):
    differing = query("""
        select * from (select * from marts.fct_orders where source_system = 'spreadsheets') as orders
        full join true_partner_orders as true_orders
            on orders.reseller = true_orders.reseller and orders.order_number = true_orders.order_number
        where orders.currency_code is distinct from true_orders.currency
            or orders.items_amount is distinct from cast(true_orders.items_total as decimal(18, 4))
            or orders.tax_amount is distinct from cast(true_orders.tax_total as decimal(18, 4))
            or orders.shipping_amount is distinct from cast(true_orders.shipping_total as decimal(18, 4))
    """)
    assert differing == []


def test_every_stream_of_the_crm_and_the_newsletters_has_the_rows_of_the_source(project, query):
    for system, name in (("hubspot", "crm_rows"), ("mailchimp", "mailchimp_streams")):
        for stream, rows in truth(project, name).items():
            if (system, stream) in KEPT and query.day > 0:
                continue
            assert query(f"select count(*) from staging.stg_{system}__{stream}") == [(rows,)], stream


def test_associations_are_true(project, query):
    for pair, rows in truth(project, "crm_associations").items():
        source, target = pair.split("-")
        living = query(f"""
            select count(*) from staging.stg_hubspot__associations
            where from_type = '{source}' and to_type = '{target}'
                and from_id in (select {source[:-1].replace("ie", "y")}_id from staging.stg_hubspot__{source})
                and to_id in (select {target[:-1].replace("ie", "y")}_id from staging.stg_hubspot__{target})
        """)
        assert living == [(rows,)], pair


def test_handles_of_customers_are_where_they_were_noted(query):
    """In any way of writing them: with or without @, in capitals, as a link."""

    def bare(written: str) -> str:
        name, _, server = re.sub(r"^(https://bsky\.app/profile/|@)", "", written.lower()).partition("@")
        link = re.fullmatch("https://(.*)/", name)
        return f"{server}@{link[1]}" if link else f"{name}@{server}" if server else name

    for system, source in (
        ("hubspot", """
            select json_extract_string(custom_properties, '$.social_handle') as written, person_id
            from staging.stg_hubspot__contacts join true_crm_contacts using (contact_id)"""),
        ("mailchimp", """
            select json_extract_string(merge_fields, '$.SOCIAL') as written, person_id
            from staging.stg_mailchimp__members as members
            join true_mailchimp_members as true_members
                on members.list_id = true_members.list_id and members.member_id = true_members.id"""),
    ):  # fmt: skip
        found = [(bare(text), person) for text, person in query(f"select * from ({source}) where written <> ''")]
        accounts = query("select handle, person_id, noted_in from true_social_accounts where noted_in is not null")
        expected = [(handle, person) for handle, person, noted_in in accounts if system in noted_in.split()]
        assert sorted(found) == sorted(expected) and expected, system


def test_deals_are_true(query):
    differing = query("""
        select * from marts.fct_deals as deals
        full join true_deals on deals.source_deal_id = true_deals.deal_id
        where deals.deal_amount is distinct from cast(true_deals.amount as decimal(18, 4))
            or deals.currency_code is distinct from coalesce(true_deals.currency, 'EUR')
            or deals.is_won is distinct from cast(true_deals.is_won as boolean)
            or deals.is_open is distinct from not cast(true_deals.is_closed as boolean)
            or deals.created_at is distinct from cast(cast(true_deals.created as timestamptz) as timestamp)
            or coalesce(deals.closed_at, deals.expected_close_at)
                is distinct from cast(cast(true_deals.closed as timestamptz) as timestamp)
    """)
    assert differing == []


def test_timelines_have_all_kinds_of_source(query):
    kinds = query("select distinct source_kind from marts.fct_customer_events")
    assert {kind for (kind,) in kinds} == {"crm", "marketing", "social", "web", "application", "device", "other"}
    whole = query("""
        select count(*) from (
            select person_id from marts.fct_customer_events
            group by person_id having count(distinct source_kind) >= 4
        )
    """)
    assert whole[0][0] > 0  # somebody whom most systems know, each by another id


def test_stage_intervals_are_true(query):
    differing = query("""
        with ours as (
            select split_part(deal_id, ':', 2) as deal_id, split_part(stage_id, ':', 2) as stage_id, entered_at, left_at
            from marts.fct_deal_stage_intervals
        ),
        theirs as (
            select deal_id, stage_id, cast(cast(entered_at as timestamptz) as timestamp) as entered_at,
                cast(cast(left_at as timestamptz) as timestamp) as left_at
            from true_deal_stage_intervals
        )
        (from ours except from theirs) union all (from theirs except from ours)
    """)
    assert differing == []


def test_lead_responses_are_true(query):
    differing = query("""
        select * from marts.fct_lead_responses as responses
        full join true_lead_responses as leads on responses.source_lead_id = leads.lead_id
        where responses.created_at is distinct from cast(cast(leads.created_at as timestamptz) as timestamp)
            or responses.first_outbound_touch_at
                is distinct from cast(cast(leads.first_touch_at as timestamptz) as timestamp)
    """)
    assert differing == []


REPORTED = {
    "sent": "sent",
    "hard_bounce": "hard_bounces",
    "soft_bounce": "soft_bounces",
    "open": "opens",
    "unique_opener": "unique_openers",
    "click": "clicks",
    "unique_clicker": "unique_clickers",
    "unsubscribe": "unsubscribes",
    "complaint": "complaints",
    "order": "orders",
}
COUNTED = {
    "open": "opens",
    "unique_opener": "unique_openers",
    "privacy_only_opener": "privacy_only_openers",
    "click": "clicks",
    "unique_clicker": "unique_clickers",
    "human_clicker": "human_unique_clickers",
    "bot_clicker": "bot_clickers",
}


def test_reported_figures_of_campaigns_are_true(query):
    differ = [f"reported_{ours}_count is distinct from cast({theirs} as bigint)" for ours, theirs in REPORTED.items()]
    differing = query(f"""
        select * from marts.fct_campaign_performance as performance
        full join true_campaigns as campaigns on performance.campaign_id = 'mailchimp:' || campaigns.campaign_id
        where {" or ".join(differ)} or reported_revenue_amount is distinct from cast(revenue as decimal(18, 4))
    """)
    assert differing == []


def test_counted_figures_of_campaigns_are_true(query):
    """Mailchimp forgets what erased recipients did; what was read before that stays, and so differs a day later."""
    differ = [f"{ours}_count is distinct from cast({theirs} as bigint)" for ours, theirs in COUNTED.items()]
    compared = "erased_recipients = '0'" if query.day else "true"
    differing = query(f"""
        select * from marts.fct_campaign_performance as performance
        full join true_campaigns as campaigns on performance.campaign_id = 'mailchimp:' || campaigns.campaign_id
        where {compared} and ({" or ".join(differ)}
            or sent_count is distinct from cast(sent as bigint) - cast(erased_recipients as bigint))
    """)
    assert differing == []
    assert query(f"select count(*) > 10 from true_campaigns where {compared}") == [(True,)]


def test_subscribers_are_true(query):
    """Today's number; those of the days before the first reading lack who was deleted since."""
    subscribed = query("""
        select split_part(audience_id, ':', 2), max_by(subscribed_count, growth_date)
        from marts.fct_audience_growth_daily group by 1 order by 1
    """)
    assert subscribed == query("""
        select list_id, max_by(cast(subscribed as bigint), day) from true_audience_days group by 1 order by 1
    """)


def test_audience_members_are_true(query):
    differing = query("""
        with ours as (
            select split_part(contact_id, '/', 2) as contact_id, member_status
            from marts.dim_audience_members where not is_deleted
        )
        select * from ours full join true_mailchimp_members as theirs on ours.contact_id = theirs.contact_id
        where ours.member_status is distinct from theirs.status
    """)
    assert differing == []


def test_sessions_are_true(query):
    """With skewed clocks, calls that came late, twice or dated 1970, and bots: every visit is a session."""
    differing = query("""
        with theirs as (
            select *, cast(cast(started_at as timestamptz) as timestamp) as first_at,
                cast(cast(ended_at as timestamptz) as timestamp) as last_at
            from true_web_sessions
        )
        select * from marts.fct_web_sessions as sessions
        full join theirs
            on sessions.visitor_id = 'events:' || theirs.anonymous_id
            -- a clock that is off is set right to within what a call takes to arrive
            and abs(epoch(sessions.started_at) - epoch(theirs.first_at)) < 1
        where sessions.channel is distinct from theirs.channel
            or abs(epoch(sessions.ended_at) - epoch(theirs.last_at)) >= 1
            or sessions.page_view_count is distinct from cast(theirs.pages as bigint)
            or sessions.screen_view_count is distinct from cast(theirs.screens as bigint)
            or sessions.order_id is distinct from theirs.order_id
            or sessions.is_bot is distinct from cast(theirs.is_bot as boolean)
            or (sessions.platform = 'app') is distinct from cast(theirs.is_app as boolean)
    """)
    assert differing == []


def test_views_traffic_and_funnels_have_all_sessions(query):
    ((pages, screens, sessions, orders),) = query("""
        select sum(cast(pages as bigint)), sum(cast(screens as bigint)), count(*) filter (is_bot = 'False'),
            count(order_id)
        from true_web_sessions
    """)
    assert query("select count(*) from marts.fct_page_views") == [(pages,)]
    assert query("select count(*) from marts.fct_screen_views") == [(screens,)]
    counts = query("select sum(session_count), sum(order_session_count) from marts.fct_traffic_daily")
    assert counts == [(sessions, orders)]
    steps = query("select sum(session_count) from marts.fct_funnel_daily group by step_number order by step_number")
    assert (steps[0], steps[-1]) == ((sessions,), (orders,))


def test_sessions_of_google_analytics_are_true(query):
    """GA4 counts those who agreed to it, by the days of its own clock; of what is preliminary it may know less."""
    sessions = query("""
        with theirs as (
            select cast(cast(started_at as timestamptz) at time zone 'Europe/Berlin' as date) as traffic_date, channel,
                count(*) as sessions
            from true_web_sessions where may_be_counted = 'True' group by all
        ),
        ours as (
            select traffic_date, channel, sum(session_count) as sessions
            from marts.fct_ga4_traffic_daily group by all having sum(session_count) > 0
        ),
        settled as (select max(traffic_date) as until from marts.fct_ga4_traffic_daily where not is_preliminary)
        select ours.sessions, theirs.sessions, traffic_date <= until as is_settled
        from ours full join theirs using (traffic_date, channel) cross join settled
    """)
    assert [(ours, theirs) for ours, theirs, is_settled in sessions if is_settled and ours != theirs] == []
    assert [(ours, theirs) for ours, theirs, _ in sessions if (ours or 0) > (theirs or 0)] == []
    assert sum(is_settled for *_, is_settled in sessions) > 100
    assert query("select count(*) > 0 from true_web_sessions where may_be_counted = 'False' and is_bot = 'False'")[0][0]


def test_log_traffic_is_true(query):
    differing = query("""
        with ours as (
            select cast(cast(requested_at as date) as text) as day, is_bot, is_page
            from intermediate.int_log_requests__classified
        ),
        counted as (
            select day, count(*) filter (not is_bot) as requests, count(*) filter (not is_bot and is_page) as pages,
                count(*) filter (is_bot) as bots
            from ours group by 1
        )
        select * from counted full join true_log_days using (day)
        where counted.requests is distinct from cast(page as bigint) + cast(asset as bigint) + cast("order" as bigint)
            or counted.pages is distinct from cast(page as bigint) or counted.bots is distinct from cast(bot as bigint)
    """)
    assert differing == []
    assert query("select sum(request_count) from marts.fct_log_traffic_daily") == query("""
        select sum(cast(page as bigint) + cast(asset as bigint) + cast("order" as bigint) + cast(bot as bigint))
        from true_log_days
    """)


def test_social_posts_are_true(query):
    """Every post of ours and of us that is still there, no other, with its relation, topic and declared language, and
    what it answers."""
    differing = query("""
        with ours as (
            select source_system, source_post_id, parent_social_post_id, 'own' as relation, topic, language
            from marts.fct_social_posts
            union all
            select source_system, source_post_id, parent_social_post_id, relation, topic, language
            from marts.fct_social_mentions
        ),
        theirs as (
            select *, kind as relation, case
                when network = 'mastodon' then nullif(split_part(declared_languages, ' ', 1), '')  -- it takes but one
                when declared_languages not like '% %' then declared_languages
            end as declared_language
            from true_social_posts where deleted_at is null and kind != 'other'
        )
        select * from ours full join theirs
            on ours.source_system = theirs.network and ours.source_post_id = theirs.post_key
        where ours.relation is distinct from theirs.relation
            or ours.topic is distinct from coalesce(theirs.topic, 'other')
            or ours.language is distinct from theirs.declared_language
            or ours.parent_social_post_id is distinct from theirs.network || ':' || theirs.reply_to_key
    """)
    assert differing == []


def test_sentiment_is_told_of_english_mentions_and_follows_the_truth(query):
    scores = query("""
        select truth.sentiment, avg(mentions.sentiment_score), count(*) > 5,
            bool_or((mentions.sentiment_score is null) = (truth.declared_languages = 'en'))
        from marts.fct_social_mentions as mentions
        inner join true_social_posts as truth on mentions.source_post_id = truth.post_key
        where truth.language = 'en' or mentions.sentiment_score is not null
        group by 1 order by 1
    """)
    (_, negative, *_), (_, neutral, *_), (_, positive, *_) = scores
    assert negative < -0.2 < neutral < 0.25 < positive
    assert [rest for _, _, *rest in scores] == [[True, False]] * 3
    days = query(
        "select topic, sum(mention_count), sum(scored_count) from marts.fct_sentiment_daily group by 1 order by 1"
    )
    assert days == query("""
        select topic, count(*), count(sentiment_score) from marts.fct_social_mentions group by 1 order by 1
    """)
    assert query("select count(distinct sentiment_model) from marts.fct_sentiment_daily") == [(1,)]


def test_every_broken_line_is_a_rejected_row(project, query):
    broken = sum(sum(file["broken"].values()) for file in truth(project, "reseller_orders").values())
    broken += sum(sum(kinds.values()) for kinds in truth(project, "web_files").values())
    broken += sum(truth(project, "devices")["unreadable"].values())
    files = truth(project, "spreadsheets").values()
    broken += sum(file["rejected_rows"] for file in files if file.get("stream") == "stock_levels")
    changing = "(source_system = 'google_sheets' or stream = 'claims')"
    rows = "select count(*) from operations.fct_rejected_rows where"
    assert query(f"{rows} not {changing}") == [(broken,)]
    # Of these two, people change rows, and what was rejected once has been, whatever it is now.
    (sheet,) = truth(project, "google_sheets").values()
    now = sum(row["is_rejected"] for table in ("targets", "marketing_budgets") for row in sheet[table])
    now += sum(file["rejected_rows"] for file in files if file.get("stream") == "claims")
    ((ever,),) = query(f"{rows} {changing}")
    assert ever == now if query.day == 0 else ever >= now


def test_hours_of_devices_are_true(query):
    """Without the machines whose clocks are years ahead."""
    days = query("""
        with days as (
            select device_id, measured_date, sum(reading_count) as readings, min(min_value) as least,
                max(max_value) as most, sum(mean_value * reading_count) / sum(reading_count) as mean
            from marts.fct_device_readings_hourly where metric = 'boiler_temperature' group by all
        )
        select days.readings = cast(true_days.readings as bigint) and days.least = cast(true_days.least as double)
            and days.most = cast(true_days.most as double)
            and abs(days.mean - cast(true_days.mean as double)) < 1e-6
        from days full join true_device_days as true_days
            on days.device_id = 'devices:' || true_days.device_id
            and days.measured_date = cast(true_days.day as date)
        where cast(coalesce(true_days.day, '2026-01-01') as date) < date '2030-01-01'
    """)
    assert len(days) > 100
    assert set(days) == {(True,)}
    ahead = query("select count(*) from marts.dim_devices where ahead_of_time_count = reading_count")
    assert ahead == query("select count(*) from true_devices where cast(skew_seconds as bigint) > 300")


# What happened to machines whose clocks are not years ahead: silences are also late bursts that have not come yet; what
# touches is one; what lasts until the last reading is open, and a silence that follows prolongs it.
DEVICE_EVENTS = """
    with hours as (select distinct device_id, hour_at from marts.fct_device_readings_hourly),
    heard as (select device_id, max(hour_at) + interval 1 hour as heard_until from hours group by device_id),
    told as (
        select 'devices:' || device_id as device_id, kind, metric, cast(begins_at as timestamp) as begins_at,
            cast(ends_at as timestamp) as ends_at
        from true_device_events where begins_at < '2030'
    ),
    named as (
        select device_id, begins_at, ends_at, metric,
            case kind when 'overheating' then 'high' when 'pressure_loss' then 'low' else kind end as kind
        from told where kind in ('overheating', 'pressure_loss', 'stuck', 'counter_reset')
        union all
        select device_id, begins_at, ends_at, '', 'gap'
        from told where kind = 'gap' or (kind = 'late_burst' and not exists (
            from hours where hours.device_id = told.device_id and hour_at > begins_at
                and hour_at + interval 1 hour <= ends_at
        ))
    ),
    followed as (
        select *, sum(is_first) over (partition by device_id, kind, metric order by begins_at) as number from (
            select *, cast(begins_at is distinct from lag(ends_at) over (
                partition by device_id, kind, metric order by begins_at
            ) or kind = 'counter_reset' as int) as is_first from named
        )
    ),
    merged as (
        select device_id, kind, metric, min(begins_at) as begins_at, max(ends_at) as ends_at
        from followed group by device_id, kind, metric, number
    ),
    events as (
        select merged.* exclude (ends_at), coalesce(gaps.ends_at, merged.ends_at) as told_until,
            case when told_until < heard_until then told_until end as ends_at
        from merged inner join heard on merged.device_id = heard.device_id
        left join (from merged where kind = 'gap') as gaps
            on merged.device_id = gaps.device_id and merged.ends_at = gaps.begins_at and merged.kind != 'counter_reset'
    )
"""


def test_alerts_of_devices_are_true(query):
    """But for silences of the line: there are some by plan, and others begin later than the truth's, which are of even
    hours."""
    events = f"""{DEVICE_EVENTS},
        expected as (
            select events.* exclude (metric), coalesce(nullif(events.metric, ''), metrics.metric) as metric
            from events left join (values ('boiler_temperature'), ('pressure'), ('brew_count')) as metrics (metric)
                on events.kind = 'gap'
        ),
        found as (
            from marts.fct_device_alerts where alert_kind != 'anomaly' and metric != 'good_count'
        )
    """
    rows = query(f"""{events}
        select expected.device_id, found.device_id, expected.kind, found.alert_kind, expected.metric, found.metric,
            begins_at, ends_at, started_at, ended_at
        from expected full join found
            on expected.device_id = found.device_id and expected.kind = found.alert_kind
            and expected.metric = found.metric and expected.begins_at = found.started_at
        where coalesce(expected.device_id, found.device_id) not similar to '.*-1'
            or coalesce(expected.kind, found.alert_kind) != 'gap'
    """)
    assert [row for row in rows if row[0] != row[1] or row[7] != row[9]] == []
    assert {row[2] for row in rows} == {"high", "low", "stuck", "counter_reset", "gap"}


def test_anomalies_of_devices_are_what_is_unusual(query):
    """What is too hot or too weak is one, after the first full week; a few others are by chance: a machine's values are
    rounded, and so is what they deviate by."""
    is_during = """
        highs.device_id = anomalies.device_id and highs.metric = anomalies.metric
        and highs.started_at = anomalies.started_at
    """
    limits = "select * from marts.fct_device_alerts where alert_kind in ('high', 'low')"
    anomalies = "select * from marts.fct_device_alerts where alert_kind = 'anomaly'"
    missed = query(f"""
        from ({limits}) as highs where started_at >= '2026-08-10' and not exists (from ({anomalies}) as anomalies
            where anomalies.device_id = highs.device_id and anomalies.metric = highs.metric
                and anomalies.started_at <= highs.started_at
                and coalesce(anomalies.ended_at, '9999-12-31') > highs.started_at)
    """)
    assert missed == []
    by_chance = f"from ({anomalies}) as anomalies where not exists (from ({limits}) as highs where {is_during})"
    ((found, chances),) = query(f"""
        select (select coalesce(sum(reading_count), 0) {by_chance}), sum(reading_count)
        from marts.fct_device_readings_hourly where metric in ('boiler_temperature', 'pressure')
    """)
    assert found < chances / 1000


def test_availability_of_devices_is_true(query):
    """Silences are the true ones; the readings of a day those of its true number."""
    days = query(f"""{DEVICE_EVENTS},
        days as (select *, cast(availability_date as timestamp) as begins_at from marts.fct_device_availability_daily),
        as_of as (select max(begins_at + to_seconds(expected_seconds)) as as_of_at from days),
        silences as (
            select days.device_id, availability_date, count(*) as gaps, sum(date_diff('second',
                greatest(events.begins_at, days.begins_at),
                least(coalesce(events.ends_at, as_of_at), days.begins_at + interval 1 day, as_of_at))) as seconds
            from days cross join as_of inner join events on days.device_id = events.device_id
                and events.begins_at < least(days.begins_at + interval 1 day, as_of_at)
                and coalesce(events.ends_at, as_of_at) > days.begins_at
            where kind = 'gap' group by all
        )
        select days.device_id, availability_date,
            days.expected_seconds - available_seconds = coalesce(silences.seconds, 0)
            and days.gap_count = coalesce(silences.gaps, 0)
            and abs(availability - available_seconds / expected_seconds) < 1e-9
            and (availability_date in (select cast(as_of_at as date) from as_of)
                or filled_interval_count = coalesce(cast(true_days.readings as bigint), 0))
        from days left join silences using (device_id, availability_date)
        left join true_device_days as true_days
            on days.device_id = 'devices:' || true_days.device_id and availability_date = cast(true_days.day as date)
    """)
    assert [day for day in days if not day[2]] == []
    assert len({day[0] for day in days}) * 60 <= len(days)
    machines = query("select count(*) from true_devices where kind like '%machine' and skew_seconds::int <= 300")
    assert machines == [(len({day[0] for day in days}),)]


def test_oee_of_lines_is_true(query):
    """On complete days; others are the first and the last one, or have a reason: what was lost, or has not come yet,
    within a weekend."""
    days = query(f"""{DEVICE_EVENTS},
        gaps as (from events where kind = 'gap')
        select oee.is_complete, oee.planned_seconds = cast(true_days.planned_seconds as double)
            and oee.run_seconds = cast(true_days.run_seconds as double) and total_count = cast(total as double)
            and good_count = cast(good as double)
            and oee.ideal_cycle_seconds = cast(true_days.ideal_cycle_seconds as double)
            and coalesce(abs(oee.oee - cast(true_days.oee as double)) < 1e-6, oee.oee is null and true_days.oee is null)
            and coalesce(abs(availability * performance * quality - oee.oee) < 1e-9, true),
            exists (from gaps where gaps.device_id = oee.device_id
                and gaps.begins_at < production_date + 3 and gaps.told_until > production_date - 1)
        from marts.fct_line_oee_daily as oee full join true_line_days as true_days
            on oee.device_id = 'devices:' || true_days.device_id and production_date = cast(day as date)
    """)
    complete = [day for day in days if day[0]]
    assert all(is_equal for _, is_equal, _ in complete)
    assert len(complete) > len(days) * 0.7
    assert sum(not has_reason for is_complete, _, has_reason in days if not is_complete) <= 4


def test_pictures_are_true(project, query):
    """What they are, the device and claim that they are of, as far as these are known, and which look alike."""
    pictures = truth(project, "images")
    files = query("""
        select file_path, files.status, image_format, image_id, device_id, claim_number
        from staging.stg_images__files as files left join marts.dim_images as images on files.file_id = images.image_id
    """)
    told = {path: (picture["status"], picture.get("format")) for path, picture in pictures.items()}
    assert {path: (status, found) for path, status, found, *_ in files} == {**told, **UNREAD_PICTURES}
    image_of = {path: image for path, _, _, image, *_ in files}
    claims = {number for (number,) in query("select claim_number from intermediate.int_claims__unioned")}
    devices = {device for (device,) in query("select device_id from marts.dim_devices")}
    assert claims and devices
    expected = {image: (set(), set()) for image in image_of.values()}
    for path, picture in pictures.items():
        is_claimed = picture.get("claim") in claims
        if is_claimed:
            expected[image_of[path]][1].add(picture["claim"])
        if (is_claimed or "claim" not in path) and (device := f"devices:{picture.get('device')}") in devices:
            expected[image_of[path]][0].add(device)
    for path, _, _, image, *found in files:
        for one, all_of_them in zip(found, expected[image], strict=True):
            assert one in all_of_them or (one is None and not all_of_them), path
    alike = {
        tuple(sorted((image_of[path], image_of[other])))
        for path, picture in pictures.items()
        for other in picture.get("near", ())
    }
    assert set(query("select image_id, other_image_id from marts.fct_image_duplicates")) == alike
    assert alike or not query.day


def test_addresses_of_customers_are_as_they_would_be_written_properly(query):
    differing = query("""
        select customers.email, people.email from marts.dim_customer_accounts as customers
        inner join true_people as people on customers.source_customer_id = people.customer_id
        where split_part(customers.email, '@', 1) != split_part(people.email, '@', 1)
            or customers.email != lower(trim(customers.email)) or customers.country_code != people.country
    """)
    assert differing == []


@pytest.fixture
def warehouse(project):
    """The warehouse's file, as the tests before left it."""
    file = project.warehouse / "sandbox.duckdb"
    if not file.exists():
        project.run("python -m ingestion run")
        project.run("dbt build")
    return file


# Every raw row twice, in random order, in loads of which none is an original one; the newer batch comes first.
REWRITTEN = """
    select * replace ('load ' || cast(cast(random() * 5 as int) as varchar) as _dlt_load_id),
        _dlt_load_id = max(_dlt_load_id) over () or random() < 0.3 as is_first
    from (from {table} union all from {table}) order by random()
"""


@pytest.mark.timeout(600)
def test_marts_do_not_depend_on_order_repetition_and_loads(project, warehouse):
    """What is incremental is built of the newer batch and some older rows, and then once more of all rows."""
    reference, rest = project.warehouse / "reference.duckdb", project.warehouse / "rest"
    shutil.copy(warehouse, reference)
    rest.mkdir()
    with duckdb.connect(str(warehouse), config={"threads": 1}) as connection:
        connection.execute("select setseed(0.5)")
        for schema in ("seeds", "staging", "intermediate", "marts", "operations"):
            connection.execute(f"drop schema {schema} cascade")
        connection.execute("attach ':memory:' as aside")
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables()"
            " where schema_name like 'raw%' and table_name not like '\\_dlt%' escape '\\'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"create table aside.rows as {REWRITTEN.format(table=table)}")
            connection.execute(f"copy (from aside.rows where not is_first) to '{rest}/{table}.parquet'")
            connection.execute(f"delete from {table}")
            connection.execute(f"insert into {table} select * exclude (is_first) from aside.rows where is_first")
            connection.execute("drop table aside.rows")

    build = "dbt build --exclude path:models/marts/operations resource_type:test resource_type:unit_test --select"
    project.run(f"{build} +config.materialized:incremental")
    with duckdb.connect(str(warehouse)) as connection:
        for (table,) in tables:
            connection.execute(f"insert into {table} select * exclude (is_first) from '{rest}/{table}.parquet'")
    project.run(f"{build} +path:models/marts")
    assert differences(reference, warehouse) == {}


def test_targets_are_those_of_the_planning_sheet(project, query):
    (sheet,) = truth(project, "google_sheets").values()
    expected = {
        (
            *(target[name] for name in ("row", "month", "country", "category", "revenue_target", "units_target")),
            None if target["null"] else target["owner"],  # its cell shows an error
        )
        for target in sheet["targets"]
        if not target["is_rejected"]
    }
    found = query("""
        select row_number, cast(month_start_date as varchar), country_code, category,
            cast(target_revenue_amount as double), target_unit_count, owner_name
        from staging.stg_google_sheets__targets
    """)
    assert len(found) == len(expected) and set(found) == expected
    ((target, revenue, units),) = query("""
        select cast(sum(revenue_target_amount_base) as double), sum(revenue_amount_base), sum(units)
        from marts.fct_budget_vs_actual
    """)
    assert target == pytest.approx(sum(row[4] for row in expected))
    assert [(revenue, units)] == query("""
        select sum(net_amount_base - refunded_amount_base), sum(quantity) from marts.fct_order_items where is_sale
    """)


def test_budgets_of_marketing_are_those_of_the_planning_sheet(project, query):
    (sheet,) = truth(project, "google_sheets").values()
    names = ("month", "channel", "campaign", "currency", "planned_amount")
    expected = {
        (
            f"google_sheets:marketing/{budget['row']}",
            *(budget[name] for name in names),
            None if budget["null"] else budget["spent_amount"],  # its cell shows an error
        )
        for budget in sheet["marketing_budgets"]
        if not budget["is_rejected"]
    }
    found = query("""
        select budget_id, cast(budget_month as varchar), channel, campaign_name, currency_code,
            cast(planned_amount as double), cast(spent_amount as double)
        from intermediate.int_marketing_budgets__unioned
    """)
    assert len(found) == len(expected) and set(found) == expected
    strangers = query("""
        select campaign_name from intermediate.int_marketing_budgets__unioned
        where campaign_name is not null
            and campaign_name not in (select campaign_title from marts.dim_campaigns)
            and campaign_name not in (select campaign_name from marts.fct_web_sessions)
    """)
    assert strangers == [], "what a campaign cost is beside what it brought"


def test_what_resellers_have_in_stock_is_true(query):
    columns = "reseller, sku, product_name, counted_on, on_hand, reserved, warehouse, file_path, row_number"
    assert (
        query(f"""
        with expected as (
            select reseller, sku, if(is_name_missing = 'True', null, product_name) as product_name,
                cast(counted_on as date) as counted_on, cast(on_hand as bigint) as on_hand,
                cast(reserved as bigint) as reserved, warehouse, file_path, cast(row_number as bigint) as row_number
            from true_stock_levels where is_rejected = 'False'
        ),
        found as (
            select reseller, sku, product_name, counted_date as counted_on, on_hand_quantity as on_hand,
                reserved_quantity as reserved, warehouse, file_path, row_number
            from staging.stg_spreadsheets__stock_levels
        )
        (select {columns} from expected except all select {columns} from found)
        union all (select {columns} from found except all select {columns} from expected)
    """)
        == []
    )
    assert query("select count(*) > 0 and count(product_id) = count(*) from marts.fct_partner_stock") == [(True,)]


def test_files_are_what_they_are_said_to_be(project, query):
    found = query("select file_path, file_status from staging.stg_spreadsheets__files")
    assert dict(found) == {path: file["status"] for path, file in truth(project, "spreadsheets").items()} | {
        f"orders/{path}": "read" for path in truth(project, "reseller_orders")
    }


def test_documents_are_what_they_are_said_to_be(project, query):
    told = truth(project, "documents")
    found = query("select file_path, file_status from staging.stg_documents__files")
    assert dict(found) == {path: document["status"] for path, document in told.items()}
    found = query("""
        select files.file_path, documents.document_format, documents.language, documents.page_count
        from staging.stg_documents__files as files
        join marts.dim_documents as documents on files.file_id = documents.document_id
        where documents.document_status = 'read'
    """)
    assert {path: tuple(rest) for path, *rest in found} == {
        path: (document["format"], document["language"], document["pages"])
        for path, document in told.items()
        if document["status"] == "read"
    }


def test_what_documents_speak_of_is_true(project, query):
    found = query("""
        select files.file_path, mentions.mention_kind, mentions.mention_text, mentions.is_linked
        from staging.stg_documents__files as files
        join marts.fct_document_mentions as mentions on files.file_id = mentions.document_id
    """)
    expected = {
        (path, kind, text)
        for path, document in truth(project, "documents").items()
        for kind, texts in document.get("mentions", {}).items()
        for text in texts
    }
    known = {mention for mention in expected if mention[1] != "email"}
    assert {tuple(mention) for *mention, _ in found if mention[1] != "email"} == known
    emails = {(path, text) for path, kind, text in expected if kind == "email"}
    assert emails <= {(path, text) for path, kind, text, _ in found if kind == "email"}
    linked = [is_linked for _, kind, _, is_linked in found if kind in ("order", "device", "customer")]
    assert sum(linked) > 0.9 * len(linked) > 0
    assert query("select count(*) from marts.fct_document_chunks where chunk_text is null") == [(0,)]


def test_persons_are_the_true_people(query):
    """Over all pairs of records of all systems: who is taken for one person is one, and who is one is found."""
    ((right, found, true),) = query(pairs(TOLD))
    assert right >= 0.99 * found
    assert right >= 0.95 * true
    assert true > 100
