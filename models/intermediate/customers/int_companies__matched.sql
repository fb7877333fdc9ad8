{# So many letters names may differ in, where something else says that it is the same company. #}
{%- set max_distance = 2 -%}

with
    customers as (select * from {{ ref("int_customers__unioned") }}),
    keys as (select * from {{ ref("int_person_records__keyed") }}),
    persons as (select * from {{ ref("int_persons__by_identifier") }}),
    contacts as (select * from {{ ref("int_contacts__unioned") }}),
    companies as (select * from {{ ref("int_companies__unioned") }}),
    email_domains as (select * from {{ ref("int_email_domains__ascii") }}),
    keyed_accounts_cte as (
        select
            customers.customer_id,
            persons.person_id,
            keys.company_key,
            keys.mail_provider,
            coalesce(customers.is_business, false)
            or customers.company_name is not null as is_company
        from customers
        inner join
            keys
            on keys.record_type = 'customer'
            and customers.customer_id = keys.record_id
        left join
            persons
            on persons.identifier_type = 'customer'
            and customers.customer_id = persons.identifier_value
            and persons.valid_to is null
    ),
    accounts_cte as (select * from keyed_accounts_cte where is_company),
    keyed_companies_cte as (
        select
            companies.company_id,
            {{ name_key("companies.company_name") }} as company_key,
            coalesce(
                email_domains.ascii_domain_name, companies.domain_name
            ) as domain_name
        from companies
        left join email_domains on companies.domain_name = email_domains.domain_name
    ),
    -- A domain from which private people write, or that several companies name, is a
    -- provider's.
    own_domains_cte as (
        select keyed_companies_cte.domain_name
        from keyed_companies_cte
        left join
            keyed_accounts_cte
            on keyed_companies_cte.domain_name = keyed_accounts_cte.mail_provider
            and not keyed_accounts_cte.is_company
        group by keyed_companies_cte.domain_name
        having
            count(distinct keyed_companies_cte.company_id) = 1
            and count(keyed_accounts_cte.customer_id) = 0
    ),
    candidates_cte as (
        select
            accounts_cte.customer_id,
            contacts.company_id,
            'contact' as evidence,
            1 as evidence_rank
        from accounts_cte
        inner join
            persons
            on accounts_cte.person_id = persons.person_id
            and persons.identifier_type = 'contact'
            and persons.valid_to is null
        inner join contacts on persons.identifier_value = contacts.contact_id
        union all
        select
            accounts_cte.customer_id,
            keyed_companies_cte.company_id,
            'domain' as evidence,
            2 as evidence_rank
        from accounts_cte
        inner join
            keyed_companies_cte
            on accounts_cte.mail_provider = keyed_companies_cte.domain_name
        inner join
            own_domains_cte
            on keyed_companies_cte.domain_name = own_domains_cte.domain_name
    ),
    compared_cte as (
        select
            candidates_cte.*,
            case
                when accounts_cte.company_key = keyed_companies_cte.company_key
                then 0
                when
                    accounts_cte.company_key is null
                    or keyed_companies_cte.company_key is null
                then {{ max_distance }}
                else
                    {{
                        edit_distance(
                            "accounts_cte.company_key",
                            "keyed_companies_cte.company_key",
                        )
                    }}
            end as name_distance
        from candidates_cte
        inner join accounts_cte on candidates_cte.customer_id = accounts_cte.customer_id
        inner join
            keyed_companies_cte
            on candidates_cte.company_id = keyed_companies_cte.company_id
    ),
    ranked_cte as (
        select
            customer_id,
            company_id,
            evidence,
            row_number() over (
                partition by customer_id
                order by
                    evidence_rank nulls first,
                    name_distance nulls last,
                    company_id nulls first
            ) as candidate_rank
        from compared_cte
        where name_distance <= {{ max_distance }}
    ),
    -- Of a company that no CRM has, accounts of one person under one name are one.
    final_cte as (
        select
            accounts_cte.customer_id,
            coalesce(
                ranked_cte.company_id,
                min(accounts_cte.customer_id) over (
                    partition by
                        coalesce(accounts_cte.person_id, accounts_cte.customer_id),
                        accounts_cte.company_key,
                        ranked_cte.company_id
                )
            ) as company_id,
            accounts_cte.person_id,
            coalesce(ranked_cte.evidence, 'account') as evidence
        from accounts_cte
        left join
            ranked_cte
            on accounts_cte.customer_id = ranked_cte.customer_id
            and ranked_cte.candidate_rank = 1
    )

select *
from final_cte
