with
    baselines as (select * from {{ ref("int_device_baselines__weekly") }}),
    final_cte as (
        {% for number in range(7) %}
            select
                device_id,
                metric,
                reading_count,
                day_count,
                median_value,
                -- What makes it a standard deviation, if values are distributed
                -- normally.
                median_deviation * 1.4826 as deviation_value,
                cast(
                    {{ dbt.dateadd("day", 7 + number, "week_start_date") }} as date
                ) as measured_date,
                built_in
            from baselines
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select *
from final_cte
