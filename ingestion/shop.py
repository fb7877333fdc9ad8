"""The web shop's PostgreSQL database: customers, products, orders, payments and subscriptions."""

from datetime import date, datetime

import dlt

from ingestion.contract import Money, contract, field
from ingestion.postgres import Postgres
from ingestion.reading import resources
from ingestion.sql import Tables
from ingestion.stream import Run, State, Stream


@contract
class Customers:
    """One account of the web shop. A person may have several."""

    customer_id: int = field("Number of the account, assigned by the shop.", key=True)
    email: str | None = field("E-mail address as typed at sign-up.", enrich="email_domain")
    first_name: str | None = field("First name as typed.")
    last_name: str | None = field("Last name as typed.")
    phone: str | None = field("Phone number as typed, in any format.")
    country: str | None = field("Country as typed or picked: a code or a name.")
    company_name: str | None = field("Company, for business accounts.")
    is_business: bool = field("Whether the account orders as a business.")
    has_marketing_consent: bool = field("Whether newsletters may be sent to this account.")
    created_at: datetime = field("When the account was opened (UTC).")
    updated_at: datetime = field("Last change of the row (UTC).")


@contract
class Addresses:
    """One postal address of a customer account."""

    address_id: int = field("Number of the address.", key=True)
    customer_id: int = field("Account that the address belongs to.")
    address_type: str = field("What it is for: billing or shipping.")
    line_1: str | None = field("Street and number.")
    line_2: str | None = field("Second address line.")
    postal_code: str | None = field("Postal code as typed.")
    city: str | None = field("City as typed.")
    country: str | None = field("Country as typed or picked: a code or a name.")
    created_at: datetime = field("When the address was entered (UTC).")
    updated_at: datetime = field("Last change of the row (UTC).")


@contract
class Products:
    """One article that the shop sells or has sold."""

    product_id: int = field("Number of the product.", key=True)
    sku: str = field("Stock keeping unit, the article's own code.")
    product_name: str = field("Name shown in the shop.")
    category: str | None = field("Category shown in the shop.")
    currency: str = field("Currency of list price and unit cost (ISO 4217).")
    list_price: Money = field("Price of one unit, without tax.")
    unit_cost: Money | None = field("What one unit costs us; null where unknown.")
    weight_grams: int | None = field("Weight of one unit, in grams.")
    is_active: bool = field("Whether it can be ordered now.")
    created_at: datetime = field("When the product was created (UTC).")
    updated_at: datetime = field("Last change of the row (UTC).")


@contract
class Orders:
    """One order placed in the web shop."""

    order_id: int = field("Number of the order.", key=True)
    order_number: str = field("Order number that the customer sees.")
    customer_id: int | None = field("Account that ordered; null for a guest.")
    billing_address_id: int | None = field("Billing address.")
    shipping_address_id: int | None = field("Shipping address.")
    order_status: str = field("pending, paid, shipped, delivered or cancelled.")
    currency: str = field("Currency of all amounts of the order (ISO 4217).")
    discount_total: Money = field("Sum of the items' discounts.")
    shipping_total: Money = field("Charged for shipping.")
    tax_total: Money = field("Tax on the order.")
    order_total: Money = field("Payable: items + tax + shipping - discount.")
    coupon_code: str | None = field("Coupon used, if any.")
    ordered_at: datetime = field("When the order was placed (UTC).")
    updated_at: datetime = field("Last change of the row (UTC).")


@contract
class OrderItems:
    """One line of an order."""

    order_item_id: int = field("Number of the line.", key=True)
    order_id: int = field("Order that the line belongs to.")
    product_id: int = field("Product ordered.")
    quantity: int = field("Units ordered.")
    unit_price: Money = field("Price of one unit before discount, without tax.")
    unit_discount: Money = field("Discount on one unit.")
    created_at: datetime = field("When the line was added (UTC).")
    updated_at: datetime = field("Last change of the row (UTC).")


@contract
class Payments:
    """One attempt to pay an order."""

    payment_id: int = field("Number of the payment.", key=True)
    order_id: int = field("Order that is paid.")
    payment_method: str = field("card, paypal, invoice or another method.")
    payment_status: str = field("authorized, captured or failed.")
    currency: str = field("Currency of the amount (ISO 4217).")
    amount: Money = field("Amount of the payment.")
    provider_reference: str | None = field("The payment provider's own reference.")
    paid_at: datetime | None = field("When it was captured (UTC); null before.")
    updated_at: datetime = field("Last change of the row (UTC).")


@contract
class Refunds:
    """One refund of a payment, for a whole order or one of its lines."""

    refund_id: int = field("Number of the refund.", key=True)
    payment_id: int = field("Payment that is refunded.")
    order_id: int = field("Order that the payment was for.")
    order_item_id: int | None = field("Line that was refunded; null for the whole order.")
    currency: str = field("Currency of the amount (ISO 4217).")
    amount: Money = field("Amount refunded, positive.")
    reason: str | None = field("Why, as the support team noted it.")
    refunded_at: datetime = field("When it was refunded (UTC).")
    updated_at: datetime = field("Last change of the row (UTC).")


@contract
class Subscriptions:
    """One standing order: a product delivered at an interval."""

    subscription_id: int = field("Number of the subscription.", key=True)
    customer_id: int = field("Account that subscribed.")
    product_id: int = field("Product delivered.")
    subscription_status: str = field("active, paused or cancelled.")
    quantity: int = field("Units per delivery.")
    interval_days: int = field("Days between deliveries.")
    currency: str = field("Currency of the price (ISO 4217).")
    unit_price: Money = field("Price of one unit per delivery, without tax.")
    started_at: datetime = field("When it began (UTC).")
    cancelled_at: datetime | None = field("When it was cancelled (UTC); null while it runs.")
    next_order_date: date | None = field("Day of the next delivery; null when none is due.")
    updated_at: datetime = field("Last change of the row (UTC).")


STREAMS = [
    Stream("customers", Customers, State(), cursor="updated_at"),
    Stream("addresses", Addresses, State(), cursor="updated_at"),
    Stream("products", Products, State(), cursor="updated_at"),
    Stream("orders", Orders, State(), cursor="updated_at"),
    Stream("order_items", OrderItems, State(), cursor="updated_at"),
    Stream("payments", Payments, State(), cursor="updated_at"),
    Stream("refunds", Refunds, State(), cursor="updated_at"),
    Stream("subscriptions", Subscriptions, State(), cursor="updated_at"),
]


def Reader(credentials: str, schema: str = "public") -> Tables:
    """Reads the tables of one PostgreSQL schema."""
    return Tables(Postgres(credentials), [schema])


@dlt.source
def shop(credentials: str = dlt.secrets.value, schema: str = "public", run: Run | None = None):
    """The shop's tables as streams.

    `credentials` is a URL, postgresql://user:password@host:port/database, of a role that may read the
    tables in `schema`. One repeatable-read snapshot serves all tables.
    """
    return resources(STREAMS, Reader(credentials, schema), run)
