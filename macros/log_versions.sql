{#
    The history of a log stream: one row per key and interval [_valid_from, _valid_to) in which it was so, by the times
    at which the source committed; `_valid_to` is null for what is current. Intervals of a key do not overlap, and there
    is a gap only while the source did not have it. What a transaction itself undid, and what changed nothing, is no
    interval. Where the source's clock went back, the latest time so far stands in.
#}
{% macro log_versions(relation) %}
    with
        numbered as (
            select
                *,
                row_number() over (
                    partition by _key
                    order by
                        _version nulls first,
                        _observed_at nulls last,
                        _row_hash nulls last
                ) as _number
            from {{ relation }}
            where _mark is null or _mark = 'gone'
        ),
        told as (
            select
                *,
                max(_observed_at) over (
                    partition by _key
                    order by _number nulls last
                    rows between unbounded preceding and current row
                ) as _valid_from
            from numbered
        ),
        moments as (
            select
                *,
                row_number() over (
                    partition by _key, _valid_from order by _number desc
                ) as _recency
            from told
        ),
        changes as (
            select
                *,
                lag(_row_hash) over (
                    partition by _key order by _number nulls last
                ) as _row_hash_before
            from moments
            where _recency = 1
        ),
        intervals as (
            select
                *,
                lead(_valid_from) over (
                    partition by _key order by _number nulls last
                ) as _valid_to
            from changes
            where
                _mark is not null
                or _row_hash_before is null
                or _row_hash <> _row_hash_before
        )
    select *
    from intervals
    where _mark is null
{% endmacro %}
