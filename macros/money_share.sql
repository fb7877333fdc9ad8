{#
    amount x part / whole for three amounts with 4 decimals, none negative: exact, rounded half up to 4 decimals;
    null where the whole is 0. Written with whole numbers because DuckDB divides decimals as doubles.
#}
{% macro money_share(amount, part, whole) -%}
    {{ adapter.dispatch("money_share", "catchment")(amount, part, whole) }}
{%- endmacro %}

{% macro duckdb__money_share(amount, part, whole) -%}
    cast(
        divide(
            cast(({{ amount }}) * 10000 as hugeint)
            * cast(({{ part }}) * 10000 as hugeint)
            * 2
            + cast(({{ whole }}) * 10000 as hugeint),
            nullif(cast(({{ whole }}) * 10000 as hugeint) * 2, 0)
        ) as decimal(18, 0)
    )
    * cast(0.0001 as decimal(5, 4))
{%- endmacro %}

{% macro spark__money_share(amount, part, whole) -%}
    cast(
        (
            cast(({{ amount }}) * 10000 as decimal(18, 0))
            * cast(({{ part }}) * 10000 as decimal(18, 0))
            * 2
            + cast(({{ whole }}) * 10000 as decimal(18, 0))
        )
        div nullif(cast(({{ whole }}) * 10000 as decimal(18, 0)) * 2, 0) as decimal(
            18, 0
        )
    )
    * cast(0.0001 as decimal(5, 4))
{%- endmacro %}
