{#
    Incremental staging: keys of which raw has got new rows are decided anew, from all of their rows. What is new is
    told by counting: a row of the model knows how many raw rows of its key it was decided from (`raw_row_count`).
    A load id would not do, because a load may be half there after a crash and be completed later; and a largest
    time or load even less, because rows come late. The result equals a full refresh after any sequence of loads.

    A model says forget_outdated_rows(source, key) in its pre_hook and reads current_state(undecided_rows(source,
    key)); `key` is its unique_key, the column that equals raw's _key, and raw_row_count is raw's _row_count.
#}
{# Deletes the model's rows whose keys have other raw rows by now; the keys are undecided then. #}
{% macro forget_outdated_rows(relation, key) %}
    {% if is_incremental() %}
        merge into {{ this }} as decided
        using
            (
                select _key, count(*) as _row_count from {{ relation }} group by _key
            ) as raw_keys
        on decided.{{ key }} = raw_keys._key
        when matched and decided.raw_row_count <> raw_keys._row_count
        then delete
        when not matched by source
        then delete
    {% endif %}
{% endmacro %}

{# The raw rows of the keys that the model does not have; all of them where it is not incremental. #}
{% macro undecided_rows(relation, key) -%}
    {%- if is_incremental() -%}
        (
            select *
            from {{ relation }} as raw_rows
            where
                not exists (
                    select 1 from {{ this }} as decided where decided.{{ key }} = raw_rows._key
                )
        )
    {%- else -%} {{ relation }}
    {%- endif -%}
{%- endmacro %}
