-- What every run reads anew, of the 45 days before the newest campaign, is in sum no
-- more than 5 % and 5 apart from the report. That much recipients may make up who were
-- erased: if before we read them, only the report counts them, if after it, only we do.
-- A stream that is not read at all (option streams) shows here, too.
{{ config(severity="warn") }}

with
    campaigns_cte as (
        select *, max(sent_at) over (partition by source_system) as last_sent_at
        from {{ ref("fct_campaign_performance") }}
    ),
    recent_campaigns_cte as (
        select *
        from campaigns_cte
        where {{ dbt.datediff("sent_at", "last_sent_at", "day") }} <= 45
    ),
    figures_cte as (
        {% for figure in [
            "sent",
            "hard_bounce",
            "soft_bounce",
            "click",
            "unique_clicker",
            "unsubscribe",
        ] %}
            select
                source_system,
                '{{ figure }}' as figure,
                sum({{ figure }}_count) as our_count,
                sum(reported_{{ figure }}_count) as reported_count
            from recent_campaigns_cte
            where reported_{{ figure }}_count is not null
            group by source_system
            {% if not loop.last %}
                union all
            {% endif %}
        {% endfor %}
    )

select *
from figures_cte
where abs(our_count - reported_count) > 5 + 0.05 * reported_count
