{#
    When something had which value: of rows that say at `at` what the `value` of an `owner` (columns) is from then on,
    one row per owner and stretch of time with an unchanged value, with first_seen_at and last_seen_at (exclusive; null
    for the last stretch). Stretches without a value are left out; other columns are those of a stretch's first row.
#}
{% macro spans(relation, owner, value, at) %}
    select *
    from
        (
            select
                *,
                {{ at }} as first_seen_at,
                lead({{ at }}) over (
                    partition by {{ owner | join(", ") }} order by {{ at }} nulls first
                ) as last_seen_at
            from
                (
                    select
                        *,
                        lag(coalesce({{ value }}, '')) over (
                            partition by {{ owner | join(", ") }}
                            order by {{ at }} nulls first, {{ value }} nulls first
                        ) as _value_before
                    from {{ relation }}
                ) as versions
            where _value_before is null or _value_before <> coalesce({{ value }}, '')
        ) as stretches
    where {{ value }} is not null
{% endmacro %}
