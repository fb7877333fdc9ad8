{# What dbt's adapter for Spark lacks for Iceberg tables over a SQL endpoint. #}
{#
    The tables and views of a schema, as dbt wants to know them; none where the schema is not there. (dbt's own macro
    describes every table, does not see Iceberg's views, and fails where there is no schema.)
#}
{% macro spark__list_relations_without_caching(relation) -%}
    {%- set schema = relation.schema -%}
    {%- set relations = [] -%}
    {%- if schema in run_query("show databases").columns[0].values() -%}
        {%- for row in run_query("show tables in " ~ schema) -%}
            {%- do relations.append((row[1], "Provider: iceberg")) -%}
        {%- endfor -%}
        {%- for row in run_query("show views in " ~ schema) -%}
            {%- do relations.append((row[1], "Type: VIEW")) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set query -%}
        select *
        from values ('', '', false, '')
        {%- for name, information in relations -%}
            , ('{{ schema }}', '{{ name }}', false, '{{ information }}')
        {%- endfor %} as relations (schema_name, name, is_temporary, information)
        where name <> ''
    {%- endset -%}
    {{ return(run_query(query)) }}
{%- endmacro %}

{# dbt's own asks every statement for rows, but the endpoint has none to give for one that only does something. #}
{% macro run_query(sql) -%}
    {%- set has_rows = (
        modules.re.match(
            "\\s*(create|drop|alter|insert|delete)\\s", sql, modules.re.I
        )
        is none
        or target.type != "spark"
    ) -%}
    {%- call statement(
        "run_query_statement", fetch_result=has_rows, auto_begin=false
    ) -%}
        {{ sql }}
    {%- endcall -%}
    {%- if has_rows -%}
        {{ return(load_result("run_query_statement").table) }}
    {%- endif -%}
{%- endmacro %}

{#
    What an incremental model adds is a table until it has been merged, and not a view: a merge would read a view twice,
    and takes none that calls Java, as macro nfc does. It lies in the schema that the session is in.
#}
{% macro spark__create_temporary_view(relation, compiled_code) -%}
    {%- if config.get("materialized") == "incremental" -%}
        create or replace table {{ relation }} using iceberg as {{ compiled_code }}
    {%- else -%}
        create or replace temporary view {{ relation }} as {{ compiled_code }}
    {%- endif -%}
{%- endmacro %}

{# After an incremental model: drops that table. #}
{% macro drop_increment() -%}
    {%- if target.type == "spark" and config.get("materialized") == "incremental" -%}
        drop table if exists {{ this.identifier }}__dbt_tmp purge
    {%- endif -%}
{%- endmacro %}

{#
    The rows of a seed, in one statement, as the text of a JSON array. (dbt's own has a cast for every cell, which takes
    Spark seconds to think over.)
#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set overrides = model["config"].get("column_types", {}) -%}
    {%- set rows = [] -%}
    {%- for row in agate_table.rows -%}
        {%- set cells = {} -%}
        {%- for name in agate_table.column_names -%}
            {%- do cells.update(
                {name: none if row[name] is none else row[name] | string}
            ) -%}
        {%- endfor -%}
        {%- do rows.append(cells) -%}
    {%- endfor -%}
    {%- set json = tojson(rows) | replace("\\", "\\\\") | replace("'", "\\'") -%}
    {%- set sql -%}
        insert into {{ this.render() }}
        select
            {%- for name in agate_table.column_names %}
                cast(
                    `{{ name }}` as {{ overrides.get(name, adapter.convert_type(agate_table, loop.index0)) }}
                ) as `{{ name }}`
                {%- if not loop.last %},{% endif %}
            {%- endfor %}
        from
            (
                select
                    inline(
                        from_json(
                            '{{ json }}',
                            'array<struct<{% for name in agate_table.column_names %}`{{ name }}`: string{% if not loop.last %}, {% endif %}{% endfor %}>>'
                        )
                    )
            )
    {%- endset -%}
    {%- do adapter.add_query(sql, abridge_sql_log=true) -%}
    {{ return(sql) }}
{%- endmacro %}
