{#
    What "current" means, one macro per kind of stream. A staging model calls the macro of its stream's kind on
    its source; no model invents its own. Every macro takes an append-only raw table, whose rows may be there
    twice and in any order, and gives rows that depend on the set of raw rows alone. All raw columns stay.
#}
{# state: the newest version of every key that is there. A 'gone' mark takes what was seen before it away, a 'back'
   mark brings it back; a row seen after it counts alone, even with an older version than the key once had. #}
{% macro current_state(relation) %}
    select *
    from
        (
            select
                *,
                row_number() over (
                    partition by _key order by {{ newest_version_first() }}
                ) as _recency
            from
                (
                    select
                        *,
                        max(case when _mark = 'gone' then _observed_at end) over (
                            partition by _key
                        ) as _last_gone_at,
                        max(case when _mark = 'back' then _observed_at end) over (
                            partition by _key
                        ) as _last_back_at,
                        count(*) over (partition by _key) as _row_count
                    from {{ relation }}
                ) as raw_rows
            where
                _mark is null
                and (
                    _last_gone_at is null
                    or _observed_at >= _last_gone_at
                    or _last_back_at >= _last_gone_at
                )
        ) as versions
    where _recency = 1
{% endmacro %}

{# event: the first sighting of every key; events do not change. #}
{% macro current_event(relation) %}
    select *
    from
        (
            select
                *,
                count(*) over (partition by _key) as _row_count,
                row_number() over (
                    partition by _key
                    order by _observed_at nulls last, _row_hash nulls last
                ) as _recency
            from {{ relation }}
        ) as sightings
    where _recency = 1
{% endmacro %}

{# snapshot: of every scope the rows of its newest complete read. Complete: as many keys arrived as the read had.
   A scope that was read and found empty has no rows. #}
{% macro current_snapshot(relation) %}
    select *
    from
        (
            select
                snapshots.*,
                row_number() over (
                    partition by snapshots._scope, snapshots._key
                    order by snapshots._row_hash desc
                ) as _recency
            from {{ relation }} as snapshots
            inner join
                (
                    select _scope, max(_observed_at) as _observed_at
                    from
                        (
                            select _scope, _observed_at
                            from {{ relation }}
                            group by _scope, _observed_at, _scope_rows
                            having
                                count(distinct case when _mark is null then _key end)
                                = _scope_rows
                        ) as complete_reads
                    group by _scope
                ) as newest_reads
                on snapshots._scope = newest_reads._scope
                and snapshots._observed_at = newest_reads._observed_at
            where snapshots._mark is null
        ) as snapshot_rows
    where _recency = 1
{% endmacro %}

{# log: the highest sequence of every key, unless that is its deletion. #}
{% macro current_log(relation) %}
    select *
    from
        (
            select
                *,
                row_number() over (
                    partition by _key order by {{ newest_version_first() }}
                ) as _recency
            from {{ relation }}
        ) as changes
    where _recency = 1 and _mark is null
{% endmacro %}

{% macro newest_version_first() -%}
    _version desc nulls last, _observed_at desc, _row_hash desc
{%- endmacro %}

{# The rows that tell something, of a stream with marks: of these the first sighting never changes, whatever becomes of the key. #}
{% macro unmarked(relation) -%}
    (select * from {{ relation }} where _mark is null)
{%- endmacro %}
