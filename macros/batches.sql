{#
    Event-sized models: what is new above such a model is found without a look at all that is old. Rows carry a batch,
    the load that brought them or the dbt run that wrote them (`built_in`), and a model has a companion, <model>__taken,
    of the batches that it has taken in. That is written after the model, from what was there before the model read
    (<model>__waiting): a run that dies takes the same batches in again, which changes nothing, since models replace
    rows by their key.

    A model says take_stock(relation, batch) in its pre_hook, then what goes before it writes (forget_...), reads
    new_rows(relation, batch), and says take_in() in its post_hook. `grows`: a batch may get more rows later, as a load
    may that a crash had cut in two; it is then new again. Marts of days say take_stock_of_days, doubt_changed_days and
    forget_changed_days, and read the changed_days().
#}
{% macro take_stock(relation, batch) %}
    create or replace table {{ companion("waiting") }} as
    select {{ batch }} as batch, count(*) as row_count from {{ relation }} group by {{ batch }}
{% endmacro %}

{# For a model that is built on another and on what that one has taken in: nothing is new that it does not have. #}
{% macro take_same_stock(relation) %}
    create or replace table {{ companion("waiting") }} as
    select * from {{ companion("taken", relation) }}
{% endmacro %}

{% macro new_rows(relation, batch, grows=false) -%}
    {%- if is_incremental() -%}
        (
            select *
            from {{ relation }}
            where
        {{ batch }} in (
                    select waiting.batch
                    from {{ companion("waiting") }} as waiting
                    where
                        not exists (
                            select 1
                            from {{ companion("taken") }} as taken
                            where
                                taken.batch = waiting.batch
        {% if grows %} and taken.row_count = waiting.row_count{% endif %}
                        )
                )
        )
    {%- else -%} {{ relation }}
    {%- endif -%}
{%- endmacro %}

{% macro take_in() %}
    create or replace table {{ companion("taken") }} as select * from {{ companion("waiting") }}
{% endmacro %}

{# In the place of what an incremental build deletes first: should a first build die, the next one takes in everything. #}
{% macro take_none() %}
    create or replace table {{ companion("taken") }} as
    select * from {{ companion("waiting") }} where 1 = 0
{% endmacro %}

{#
    Whether batches that were taken in may have lost rows since, to other batches, as their keys were told anew. The
    model, with a row per key, has another number of rows than it has taken in if a run died that had written some.
#}
{% macro has_lost_rows() -%}
    (
        exists (
            select 1
            from {{ companion("taken") }} as taken
            left join {{ companion("waiting") }} as waiting on taken.batch = waiting.batch
            where taken.row_count > coalesce(waiting.row_count, 0)
        )
        or (select count(*) from {{ this }})
        <> (select coalesce(sum(row_count), 0) from {{ companion("taken") }})
    )
{%- endmacro %}

{#
    Deletes the model's rows whose `own_key` is the `key` of a new row. Of sessions that is the first event: as sessions
    are written again as a whole, one that has changed or is none any more has it among the new rows.
#}
{% macro forget_changed(relation, batch, key, own_key) %}
    {% if is_incremental() %}
        merge into {{ this }} as decided
        using
            (
                select {{ key }} from {{ new_rows(relation, batch) }} as new_rows group by {{ key }}
            ) as changed_keys
        on decided.{{ own_key }} = changed_keys.{{ key }}
        when matched
        then delete
    {% else %} {{ take_none() }}
    {% endif %}
{% endmacro %}

{#
    The stock of a model that is built anew day by day, from relations whose rows have built_in and the days that they
    are of; `days` is one, or several if a row is of more.
#}
{% macro take_stock_of_days(relations, days) %}
    {%- set days = [days] if days is string else days %}
    create or replace table {{ companion("waiting") }} as
    {% for relation in relations %}
        {%- set relation_loop = loop -%}
        {% for day in days %}
            select
            {{ relation_loop.index0 * days | length + loop.index }} as relation_number,
            {{ day }} as batch_day,
                built_in as batch,
                count(*) as row_count
            from {{ relation }}
            group by {{ day }}, built_in
            {% if not (loop.last and relation_loop.last) %}
                union all
            {% endif %}
        {% endfor %}
    {% endfor %}
{% endmacro %}

{# The days that have got or lost rows since. A row that is written again has another run, and is lost to the former. #}
{% macro changed_days() -%}
    (
        select batch_day as changed_day
        from
            (
                (
                    select * from {{ companion("waiting") }}
                    except
                    select * from {{ companion("taken") }}
                )
                union all
                (
                    select * from {{ companion("taken") }}
                    except
                    select * from {{ companion("waiting") }}
                )
            ) as differences
        group by batch_day
    )
{%- endmacro %}

{# Takes the stock of changed days away, so that they are changed until this run has ended, whatever they look like. #}
{% macro doubt_changed_days() %}
    {% if is_incremental() %}
        merge into {{ companion("taken") }} as taken
        using {{ changed_days() }} as changed_days
        on taken.batch_day = changed_days.changed_day
        when matched
        then delete
    {% else %} {{ take_none() }}
    {% endif %}
{% endmacro %}

{# Deletes the model's rows of days that have changed, or have none any more. #}
{% macro forget_changed_days(own_day) %}
    {% if is_incremental() %}
        merge into {{ this }} as decided
        using
            (
                select changed_day
                from {{ changed_days() }} as changed_days
                union
                select {{ own_day }} as changed_day
                from {{ this }}
                where {{ own_day }} not in (select batch_day from {{ companion("waiting") }})
            ) as changed_days
        on decided.{{ own_day }} = changed_days.changed_day
        when matched
        then delete
    {% endif %}
{% endmacro %}

{# A table beside the model, which only these macros read: not among the marts, where people look. #}
{% macro companion(suffix, model=this) -%}
    {%- set schema = "intermediate" if model.schema == "marts" else model.schema -%}
    {{
        model.incorporate(
            path={"schema": schema, "identifier": model.identifier ~ "__" ~ suffix}
        )
    }}
{%- endmacro %}

{# The dbt run that writes a row: what is built on a model knows new rows by it. #}
{% macro built_in() -%} '{{ invocation_id }}' {%- endmacro %}

{# Staging of events by batches. Of a key the first sighting counts: a model's row goes if an earlier one has come. #}
{% macro forget_later_sightings(relation, key) %}
    {% if is_incremental() %}
        merge into {{ this }} as decided
        using
            (
                select _key, min(_observed_at) as _first_observed_at
                from {{ new_rows(relation, "_dlt_load_id", grows=true) }} as new_rows
                group by _key
                -- Mostly none is earlier than all that was decided, and then no key is
                -- looked up.
                having
                    cast(min(_observed_at) as timestamp)
                    <= (select max(decided.observed_at) from {{ this }} as decided)
            ) as sightings
        on decided.{{ key }} = sightings._key
        when matched and cast(sightings._first_observed_at as timestamp) <= decided.observed_at
        then delete
    {% else %} {{ take_none() }}
    {% endif %}
{% endmacro %}

{# The rows of new batches whose keys the model does not have. #}
{% macro unsighted_rows(relation, key) -%}
    {%- if is_incremental() -%}
        (
            select *
            from {{ new_rows(relation, "_dlt_load_id", grows=true) }} as new_rows
            where
                not exists (
                    select 1 from {{ this }} as decided where decided.{{ key }} = new_rows._key
                )
        )
    {%- else -%} {{ relation }}
    {%- endif -%}
{%- endmacro %}

{# Deletes the model's rows of moments (`own_at`) after the first day that has changed, where a row is made of all days before. #}
{% macro forget_after_changed_days(own_at) %}
    {% if is_incremental() %}
        merge into {{ this }} as decided
        using
            (
                select {{ business_midnight("min(changed_day)") }} as first_changed_at
                from {{ changed_days() }} as changed_days
            ) as changes
        on decided.{{ own_at }} > changes.first_changed_at
        when matched
        then delete
    {% endif %}
{% endmacro %}
