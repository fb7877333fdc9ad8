with
    mentions as (select * from {{ ref("int_document_mentions__found") }}),
    documents as (select * from {{ ref("dim_documents") }}),
    email_domains as (select * from {{ ref("int_email_domains__ascii") }}),
    customers as (select * from {{ ref("dim_customer_accounts") }}),
    orders as (select * from {{ ref("fct_orders") }}),
    devices as (select * from {{ ref("dim_devices") }}),
    emails_cte as ({{ unshared("customers", "email", ["customer_id"]) }}),
    customer_numbers_cte as (
        {{ unshared("customers", "source_customer_id", ["customer_id"]) }}
    ),
    order_numbers_cte as (
        {{ unshared("orders", "order_number", ["order_id", "customer_id"]) }}
    ),
    device_names_cte as (
        select
            substr(device_id, length(source_system) + 2) as device_name,
            min(device_id) as device_id
        from devices
        group by substr(device_id, length(source_system) + 2)
        having count(*) = 1
    ),
    present_cte as (
        select
            mentions.*,
            case
                when mentions.mention_kind = 'email'
                then {{ ascii_email("mentions.mention_text", "email_domains") }}
            end as email
        from mentions
        inner join documents on mentions.document_id = documents.document_id
        left join
            email_domains
            on {{ email_domain("mentions.mention_text") }} = email_domains.domain_name
    ),
    linked_cte as (
        select
            present_cte.*,
            coalesce(
                emails_cte.customer_id,
                customer_numbers_cte.customer_id,
                order_numbers_cte.customer_id
            ) as customer_id,
            order_numbers_cte.order_id,
            device_names_cte.device_id
        from present_cte
        left join emails_cte on present_cte.email = emails_cte.email
        left join
            customer_numbers_cte
            on present_cte.mention_kind = 'customer'
            and present_cte.mention_text = customer_numbers_cte.source_customer_id
        left join
            order_numbers_cte
            on present_cte.mention_kind = 'order'
            and present_cte.mention_text = order_numbers_cte.order_number
        left join
            device_names_cte
            on present_cte.mention_kind = 'device'
            and present_cte.mention_text = device_names_cte.device_name
    ),
    final_cte as (
        select
            document_id,
            mention_kind,
            mention_text,
            customer_id,
            order_id,
            device_id,
            mention_count,
            first_page_number,
            coalesce(customer_id, order_id, device_id) is not null as is_linked
        from linked_cte
    )

select *
from final_cte
