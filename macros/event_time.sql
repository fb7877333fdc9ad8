{#
    Whether a device's clock is so far from the server's that its times are no times. Not below 55 minutes: newer mobile
    libraries set the time of sending to that of the event where they had no network, and are right about the event.
#}
{% macro is_clock_off(sent_at, received_at) -%}
    abs({{ microseconds_between(sent_at, received_at) }}) > 3300000000
{%- endmacro %}

{# Whether an event can have been then: not after it came (by more than a clock may be off), and not ages before. #}
{% macro is_time_possible(occurred_at, received_at) -%}
    (
        {{ received_at }} is null
        or {{ microseconds_between(received_at, occurred_at) }}
        between -{{ var("max_event_delay_days") }} * 86400000000 and 3300000000
    )
{%- endmacro %}
