{#
    On a cluster, raw is Parquet files (ingestion/lake.py). Spark's own catalog has them as external tables, and views on
    those stand where the models look: raw_<system>.<stream>. In DuckDB the loaders make the tables themselves.
#}
{# Before models are built: makes or renews the external tables of all declared sources. #}
{% macro declare_raw_tables() -%}
    {%- if execute -%}
        {{ adapter.dispatch("declare_raw_tables", "catchment")() }}
    {%- endif -%}
{%- endmacro %}

{% macro duckdb__declare_raw_tables() -%} {%- endmacro %}

{# Dropped and made again, which is quick: the files stay, and what is new among them is seen. #}
{% macro spark__declare_raw_tables() -%}
    {%- set sources = graph.sources.values() | list -%}
    {%- for schema in sources | map(attribute="schema") | unique -%}
        {%- do run_query("create schema if not exists spark_catalog." ~ schema) -%}
        {%- do run_query("create schema if not exists " ~ schema) -%}
    {%- endfor -%}
    {%- for source in sources -%}
        {%- set view = source.schema ~ "." ~ source.identifier -%}
        {%- set name = "spark_catalog." ~ view -%}
        {%- if source.schema == "raw_operations" -%}
            {%- do run_query(spark__raw_ledgers(source, name)) -%}
        {%- else -%}
            {%- do run_query("drop table if exists " ~ name) -%}
            {%- do run_query(spark__raw_table(source, name)) -%}
        {%- endif -%}
        {%- do run_query(
            "create or replace view " ~ view ~ " as select * from " ~ name
        ) -%}
    {%- endfor -%}
{%- endmacro %}

{% macro spark__raw_table(source, name) -%}
    create table {{ name }} (
    {%- for column in source.columns.values() %}
            `{{ column.name }}` {{ spark_type(column.data_type) }}
        {%- if not loop.last %},{% endif %}
    {%- endfor %}
    )
    using parquet
    location '{{ lake_url() }}/{{ source.schema }}/{{ source.identifier }}'
{%- endmacro %}

{# The ledgers of all systems that have landed, configured or not: the folder says whose it is. #}
{% macro spark__raw_ledgers(source, name) -%}
    create or replace view {{ name }} as
    select
    {%- for column in source.columns.values() %}
        {% if column.name == "system" %}
                regexp_extract(_metadata.file_path, 'raw_([^/]+)/{{ source.identifier }}/[^/]+$', 1) as `system`
        {%- else %}`{{ column.name }}`
        {%- endif %}
        {%- if not loop.last %},{% endif %}
    {%- endfor %}
    from parquet.`{{ lake_url() }}/raw_*/{{ source.identifier }}`
{%- endmacro %}

{# Where raw lands: LAKE_URL, or beside the warehouses of this machine; ingestion/lake.py says the same. #}
{% macro lake_url() -%}
    {%- set folder = env_var("WAREHOUSE_DIR", "") or "warehouse" -%}
    {%- set folder = (
        folder if folder.startswith("/") else env_var("PWD") ~ "/" ~ folder
    ) -%}
    {{ (env_var("LAKE_URL", "") or "file://" ~ folder ~ "/lake").rstrip("/") }}
{%- endmacro %}

{# DuckDB's name of a type in Spark. #}
{% macro spark_type(sql_type) -%}
    {%- set type = sql_type | lower -%}
    {{-
        {
            "varchar": "string",
            "uuid": "string",
            "time": "string",
            "blob": "binary",
            "timestamptz": "timestamp_ltz",
            "timestamp with time zone": "timestamp_ltz",
        }.get(type, type)
    -}}
{%- endmacro %}
