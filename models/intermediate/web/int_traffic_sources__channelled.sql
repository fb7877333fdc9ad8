with
    sessions as (select * from {{ ref("int_web_sessions__aggregated") }}),
    known_sources as (select * from {{ ref("traffic_sources") }}),
    channel_rules as (select * from {{ ref("channel_rules") }}),
    told_cte as (
        select distinct told_source, told_medium, campaign_name, is_referred
        from sessions
    ),
    -- A host is known by itself, by the domain above it, or by its name under any top
    -- level domain ('google.*').
    keys_cte as (
        select told_source, 1 as key_rank, lower(told_source) as source_key
        from told_cte
        union all
        select
            told_source,
            2 as key_rank,
            regexp_extract(
                lower(told_source), '[^.]+[.][^.]+[.][^.]+$', 0
            ) as source_key
        from told_cte
        union all
        select
            told_source,
            3 as key_rank,
            regexp_extract(lower(told_source), '[^.]+[.][^.]+$', 0) as source_key
        from told_cte
        union all
        select
            told_source,
            4 as key_rank,
            regexp_extract(
                lower(told_source), '^(?:m[.])?([^.]+)[.](?:com?[.])?[a-z]+$', 1
            )
            || '.*' as source_key
        from told_cte
    ),
    ranked_cte as (
        select
            keys_cte.told_source,
            known_sources.source_category,
            known_sources.source_name,
            row_number() over (
                partition by keys_cte.told_source order by keys_cte.key_rank nulls last
            ) as match_rank
        from keys_cte
        inner join known_sources on keys_cte.source_key = known_sources.source_key
    ),
    -- What comes from a search engine by itself is called by its name.
    named_cte as (
        select
            told_cte.*,
            case
                when told_cte.is_referred and ranked_cte.source_category = 'search'
                then coalesce(ranked_cte.source_name, told_cte.told_source)
                else told_cte.told_source
            end as source,
            case
                when told_cte.is_referred and ranked_cte.source_category = 'search'
                then 'organic'
                else told_cte.told_medium
            end as medium,
            ranked_cte.source_category
        from told_cte
        left join
            ranked_cte
            on told_cte.told_source = ranked_cte.told_source
            and ranked_cte.match_rank = 1
    ),
    -- The rule of the lowest rank that holds.
    matched_cte as (
        select
            named_cte.told_source,
            named_cte.told_medium,
            named_cte.campaign_name,
            named_cte.is_referred,
            named_cte.source,
            named_cte.medium,
            min(
                case
                    when
                        coalesce(
                            nullif(channel_rules.source_category, ''),
                            named_cte.source_category,
                            ''
                        )
                        = coalesce(named_cte.source_category, '')
                        and {{
                            matches_pattern(
                                "lower(named_cte.source)",
                                "coalesce(channel_rules.source_pattern, '')",
                            )
                        }}
                        and {{
                            matches_pattern(
                                "lower(named_cte.medium)",
                                "coalesce(channel_rules.medium_pattern, '')",
                            )
                        }}
                        and {{
                            matches_pattern(
                                "lower(named_cte.campaign_name)",
                                "coalesce(channel_rules.campaign_pattern, '')",
                            )
                        }}
                    then channel_rules.channel_rank
                end
            ) as channel_rank
        from named_cte
        cross join channel_rules
        group by all
    ),
    ranks_cte as (
        select channel_rank, max(channel) as channel
        from channel_rules
        group by channel_rank
    ),
    final_cte as (
        select
            matched_cte.told_source,
            matched_cte.told_medium,
            matched_cte.campaign_name,
            matched_cte.is_referred,
            matched_cte.source,
            matched_cte.medium,
            coalesce(ranks_cte.channel, 'Unassigned') as channel
        from matched_cte
        left join ranks_cte on matched_cte.channel_rank = ranks_cte.channel_rank
    )

select *
from final_cte
