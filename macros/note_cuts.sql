{#
    In the pre_hook of a model of sessions: per visitor with changed events, from when on the visitor's time is cut anew.
    That is the beginning of the first session that had not ended long enough before; all that ended before stay as they
    are. An event that is told anew changes what was where it is now, and where it was: that is looked up where there
    may be such events.
#}
{% macro note_cuts(events) %}
    {% if is_incremental() %}
        create or replace table {{ companion("cuts") }} as
        with
            new_events as (
                select event_id, visitor_id, occurred_at
                from {{ new_rows(events, "built_in") }} as new_rows
            ),
            retold_events as (
                select event_id from new_events where {{ has_lost_rows() }}
            ),
            changes as (
                select visitor_id, occurred_at
                from new_events
                union all
                select known.visitor_id, known.occurred_at
                from {{ this }} as known
                inner join retold_events on known.event_id = retold_events.event_id
            ),
            first_changes as (
                select
                    visitor_id,
                    min(occurred_at) as changed_at,
        {{
            dbt.dateadd(
                "minute",
                -var("session_timeout_minutes"),
                "min(occurred_at)",
            )
        }} as open_at
                from changes
                group by visitor_id
            ),
            open_sessions as (
                select known.visitor_id, min(known.session_started_at) as started_at
                from {{ this }} as known
                inner join first_changes on known.visitor_id = first_changes.visitor_id
                where
                    known.occurred_at >= first_changes.open_at
                    -- So that what is older than all that has changed is not read.
                    and known.occurred_at >= (select min(open_at) from first_changes)
                group by known.visitor_id
            )
        select
            first_changes.visitor_id,
            least(
                first_changes.changed_at,
                coalesce(open_sessions.started_at, first_changes.changed_at)
            ) as cut_at
        from first_changes
        left join open_sessions on first_changes.visitor_id = open_sessions.visitor_id
    {% else %} {{ take_none() }}
    {% endif %}
{% endmacro %}
