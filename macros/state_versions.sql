{#
    The history of a state stream: one row per key and moment of change. A row that left the source is a row with
    `_is_gone` and no other content; one that came back as it was repeats its content. `_changed_at` is the time that
    the row itself tells, in `changed_at` (or our first sight of it, whatever is earlier), and for gone and back the
    moment we noticed. The last row of every key is what current_state gives, so the two never contradict each other.
    `_version` must be a timestamp or null; where it is null and the told time once went back, the times of our
    sightings stand in from there on.
#}
{% macro state_versions(relation, changed_at="_version") %}
    with
        raw_rows as (
            select
                *,
                max(case when _mark = 'gone' then _observed_at end) over (
                    partition by _key
                    order by _observed_at nulls last
                    range between unbounded preceding and current row
                ) as _gone_at
            from {{ relation }}
        ),
        backs as (
            select distinct
                _key as _back_key, _observed_at as _back_at, _gone_at as _back_gone_at
            from raw_rows
            where _mark = 'back'
        ),
        -- Back again: what was the newest by then is seen once more.
        returns as (
            select
                raw_rows.*,
                backs._back_at as _seen_at,
                backs._back_gone_at as _gone_since,
                row_number() over (
                    partition by backs._back_key, backs._back_at
                    order by {{ newest_version_first() }}
                ) as _recency_by_then
            from raw_rows
            inner join
                backs
                on raw_rows._key = backs._back_key
                and raw_rows._observed_at <= backs._back_at
            where raw_rows._mark is null
        ),
        sightings as (
            select
                *,
                _observed_at as _seen_at,
                _gone_at as _gone_since,
                1 as _recency_by_then
            from raw_rows
            where _mark is null or _mark = 'gone'
            union all
            select *
            from returns
            where _recency_by_then = 1 and _observed_at < _gone_since
        ),
        told as (
            select
                *,
                _mark is not null as _is_gone,
                case
                    when _mark is not null
                    then _seen_at
                    when least({{ changed_at }}, _seen_at) <= _gone_since
                    then _seen_at
                    else least({{ changed_at }}, _seen_at)
                end as _told_at
            from sightings
        ),
        told_before as (
            select
                *,
                max(_told_at) over (
                    partition by _key, _gone_since
                    order by
                        _seen_at nulls last,
                        _observed_at nulls last,
                        _row_hash nulls last
                    rows between unbounded preceding and 1 preceding
                ) as _told_before
            from told
        ),
        changes as (
            select
                *,
                case
                    when
                        _version is null
                        and max(
                            case when _told_at < _told_before then 1 else 0 end
                        ) over (
                            partition by _key, _gone_since
                            order by _seen_at nulls last
                            range between unbounded preceding and current row
                        )
                        = 1
                    then _seen_at
                    else _told_at
                end as _changed_at
            from told_before
        ),
        moments as (
            select
                *,
                row_number() over (
                    partition by _key, _changed_at
                    order by _is_gone nulls last, {{ newest_version_first() }}
                ) as _recency
            from changes
        ),
        -- A version seen only after a newer one had begun never was the valid one.
        valid_moments as (
            select
                *,
                max(_version) over (
                    partition by _key, _gone_since
                    order by _changed_at nulls last
                    rows between unbounded preceding and 1 preceding
                ) as _newest_version_before
            from moments
            where _recency = 1
        ),
        neighbours as (
            select
                *,
                lag(_is_gone) over (
                    partition by _key order by _changed_at nulls last
                ) as _is_gone_before,
                lag(_row_hash) over (
                    partition by _key order by _changed_at nulls last
                ) as _row_hash_before
            from valid_moments
            where
                _is_gone
                or _newest_version_before is null
                or _version >= _newest_version_before
        )
    select *
    from neighbours
    where
        _is_gone_before is null
        or _is_gone <> _is_gone_before
        or (not _is_gone and _row_hash <> _row_hash_before)
{% endmacro %}
