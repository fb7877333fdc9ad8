{#
    The rate from a currency to the base currency, in a model that left joins int_exchange_rates__daily under the
    name `exchange_rates`. The base currency needs no published rate. Null where none is known.
#}
{% macro rate_to_base(currency_code, exchange_rates) -%}
    case
        when {{ currency_code }} = '{{ var("base_currency") }}'
        then cast(1 as decimal(20, 12))
        else {{ exchange_rates }}.rate_to_base
    end
{%- endmacro %}

{#
    An amount in the base currency, exact, rounded half up to 4 decimals; null where the rate is null. (Rounding
    before the cast is much faster in DuckDB than leaving it to the cast.)
#}
{% macro in_base_currency(amount, rate) -%}
    cast(round(cast({{ amount }} as decimal(18, 4)) * {{ rate }}, 4) as decimal(18, 4))
{%- endmacro %}
