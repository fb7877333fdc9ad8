{#
    The history of a state stream: one row per key and moment of change. A row that left the source is a row with
    `_is_gone` and no other content; one that came back as it was repeats its content. `_changed_at` is the
    source's version (or our first sight of it, whatever is earlier) and for gone and back the moment we noticed.
    The last row of every key is what current_state gives, so the two never contradict each other. `_version` must
    be a timestamp or null.
#}
{% macro state_versions(relation) %}
    with
        sightings as (
            select *, false as _is_gone, least(_version, _observed_at) as _changed_at
            from {{ relation }}
            where _mark is null
        ),
        presences as (
            select
                _key,
                _mark = 'gone' as _is_gone,
                _observed_at,
                lag(_mark = 'gone', 1, false) over (
                    partition by _key
                    order by
                        _observed_at nulls last,
                        case when _mark = 'gone' then 0 else 1 end nulls last
                ) as _was_gone
            from
                (
                    select _key, coalesce(_mark, '') as _mark, _observed_at
                    from {{ relation }}
                ) as marks
        ),
        changes as (
            select *
            from sightings
            union all
            select *, true as _is_gone, _observed_at as _changed_at
            from {{ relation }}
            where _mark = 'gone'
            union all
            -- Back again: as the newest version that was valid by then.
            select raw_rows.*, false as _is_gone, presences._observed_at as _changed_at
            from presences
            inner join {{ relation }} as raw_rows on presences._key = raw_rows._key
            where
                presences._was_gone
                and not presences._is_gone
                and raw_rows._mark is null
                and least(raw_rows._version, raw_rows._observed_at)
                <= presences._observed_at
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
                    partition by _key
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
