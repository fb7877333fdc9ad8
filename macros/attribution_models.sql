{# The ways in which a conversion is shared among its touches (docs/attribution.md), a row each: attribution_model. #}
{% macro attribution_models() %}
    {% for model in ["first", "last", "linear", "position", "time_decay"] %}
        select '{{ model }}' as attribution_model
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}
{% endmacro %}
