"""Who is who in the sandbox, found and true."""

# By record of every system that knows people: `person_number`, the truth, and `person_id`. Reads the truth's CSV files
# as views true_<name>.
TOLD = """
    with people (kind, record, person_number) as (
        select 'customer', 'shop:' || customer_id, person_id from true_people
        union all
        select 'contact', 'hubspot:' || contact_id, person_id from true_crm_contacts
        union all
        select 'order', 'spreadsheets:' || reseller || '/' || order_number, person_id from true_partner_orders
        union all
        select distinct 'audience_member', 'mailchimp:' || list_id || '/' || contact_id, person_id
        from true_mailchimp_members
        union all
        select 'claim', 'claims:' || claim_number, person_id from true_claims
        union all
        select 'device', 'devices:' || device_id, person_id
        from true_devices inner join true_people on true_devices.owner = 'customer ' || true_people.customer_id
        union all
        select 'social_account', network || ':' || account_key, person_id from true_social_accounts where noted_in != ''
    )
    select person_number, person_id from people
    inner join intermediate.int_persons__by_identifier as persons
        on persons.identifier_type = kind and persons.identifier_value = record and valid_to is null
"""


def pairs(told: str) -> str:
    """SQL for how many pairs of records are found rightly, are found, and are true, of the rows of `told`."""
    counts = ", ".join(
        f"(select coalesce(sum(n * (n - 1) // 2), 0) from (select count(*) as n from told group by {columns}))"
        for columns in ("person_number, person_id", "person_id", "person_number")
    )
    return f"with told as ({told}) select {counts}"
