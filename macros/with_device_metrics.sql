{# Rows with device_id and metric, and with columns of the seed device_metrics: a device's own row, else the one for all. #}
{% macro with_device_metrics(relation, columns) -%}
    (
        select
            described.*,
            {% for column in columns %}
                case
                    when of_devices.metric is not null
                    then of_devices.{{ column }}
                    else of_metrics.{{ column }}
                end as {{ column }}
                {%- if not loop.last %},{% endif %}
            {% endfor %}
        from {{ relation }} as described
        left join
            {{ ref("device_metrics") }} as of_devices
            on described.metric = of_devices.metric
            and described.device_id = of_devices.device_id
        left join
            {{ ref("device_metrics") }} as of_metrics
            on described.metric = of_metrics.metric
            and of_metrics.device_id = '*'
    )
{%- endmacro %}
