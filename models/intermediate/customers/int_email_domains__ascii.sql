with
    enrichments as (select * from {{ ref("stg_enrichments__enrichments") }}),
    ranked_cte as (
        select
            input as domain_name,
            output as ascii_domain_name,
            row_number() over (
                partition by input order by cast(method_version as int) desc
            ) as recency
        from enrichments
        where method = 'email_domain' and output is not null
    ),
    final_cte as (
        select domain_name, ascii_domain_name from ranked_cte where recency = 1
    )

select *
from final_cte
