-- The web shop's database. Tables stand after those they refer to, columns in the order of the generator's rows.
-- shop.py turns the comment after a table's or column's line into the database's own comment.

create table customers ( -- One account of the web shop. A person may have several.
    customer_id bigint primary key, -- Number of the account.
    email text, -- E-mail address as typed at sign-up.
    first_name text, -- First name as typed.
    last_name text, -- Last name as typed.
    phone text, -- Phone number as typed, in any format.
    country text, -- Country as typed or picked: a code or a name.
    company_name text, -- Company, for business accounts.
    is_business boolean not null, -- Whether the account orders as a business.
    has_marketing_consent boolean not null, -- Whether newsletters may be sent.
    created_at timestamptz not null, -- When the account was opened.
    updated_at timestamptz not null -- Last change of the row.
);
create index on customers (updated_at);

create table addresses ( -- One postal address of an account.
    address_id bigint primary key, -- Number of the address.
    customer_id bigint not null references customers, -- Account that the address belongs to.
    address_type text not null check (address_type in ('billing', 'shipping')), -- What it is for.
    line_1 text, -- Street and number.
    line_2 text, -- Second address line.
    postal_code text, -- Postal code as typed.
    city text, -- City as typed.
    country text, -- Country as typed or picked: a code or a name.
    created_at timestamptz not null, -- When the address was entered.
    updated_at timestamptz not null -- Last change of the row.
);
create index on addresses (updated_at);

create table products ( -- One article of the shop.
    product_id bigint primary key, -- Number of the product.
    sku text not null unique, -- Stock keeping unit.
    product_name text not null, -- Name shown in the shop.
    category text, -- Category shown in the shop.
    currency text not null, -- Currency of list price and unit cost.
    list_price numeric(18, 4) not null, -- Price of one unit, without tax.
    unit_cost numeric(18, 4), -- What one unit costs the company; null where unknown.
    weight_grams bigint, -- Weight of one unit in grams.
    is_active boolean not null, -- Whether it can be ordered now.
    created_at timestamptz not null, -- When the product was created.
    updated_at timestamptz not null -- Last change of the row.
);
create index on products (updated_at);

create table orders ( -- One order. order_total = items + tax_total + shipping_total - discount_total.
    order_id bigint primary key, -- Number of the order.
    order_number text not null unique, -- Order number that the customer sees.
    customer_id bigint references customers, -- Account that ordered; null for a guest or an erased account.
    billing_address_id bigint references addresses, -- Billing address.
    shipping_address_id bigint references addresses, -- Shipping address.
    order_status text not null check (order_status in ('pending', 'paid', 'shipped', 'delivered', 'cancelled')), -- Where the order stands.
    currency text not null, -- Currency of all amounts of the order.
    discount_total numeric(18, 4) not null, -- Sum of the items' discounts.
    shipping_total numeric(18, 4) not null, -- Charged for shipping.
    tax_total numeric(18, 4) not null, -- Tax on the order.
    order_total numeric(18, 4) not null, -- Payable amount.
    coupon_code text, -- Coupon used, if any.
    ordered_at timestamptz not null, -- When the order was placed.
    updated_at timestamptz not null -- Last change of the row.
);
create index on orders (updated_at);

create table order_items ( -- One line of an order.
    order_item_id bigint primary key, -- Number of the line.
    order_id bigint not null references orders, -- Order that the line belongs to.
    product_id bigint not null references products, -- Product ordered.
    quantity bigint not null check (quantity > 0), -- Units ordered.
    unit_price numeric(18, 4) not null, -- Price of one unit before discount, without tax.
    unit_discount numeric(18, 4) not null, -- Discount on one unit.
    created_at timestamptz not null, -- When the line was added.
    updated_at timestamptz not null -- Last change of the row.
);
create index on order_items (updated_at);

create table payments ( -- One attempt to pay an order.
    payment_id bigint primary key, -- Number of the payment.
    order_id bigint not null references orders, -- Order that is paid.
    payment_method text not null, -- card, paypal, invoice or gift_card.
    payment_status text not null check (payment_status in ('authorized', 'captured', 'failed')), -- Where the payment stands.
    currency text not null, -- Currency of the amount.
    amount numeric(18, 4) not null, -- Amount of the payment.
    provider_reference text, -- The payment provider's own reference.
    paid_at timestamptz, -- When it was captured; null before.
    updated_at timestamptz not null -- Last change of the row.
);
create index on payments (updated_at);

create table refunds ( -- One refund of a payment, for a line or for the order.
    refund_id bigint primary key, -- Number of the refund.
    payment_id bigint not null references payments, -- Payment that is refunded.
    order_id bigint not null references orders, -- Order that the payment was for.
    order_item_id bigint references order_items, -- Line that was refunded; null for the whole order.
    currency text not null, -- Currency of the amount.
    amount numeric(18, 4) not null check (amount > 0), -- Amount refunded.
    reason text, -- Why, as the support team noted it.
    refunded_at timestamptz not null, -- When it was refunded.
    updated_at timestamptz not null -- Last change of the row.
);
create index on refunds (updated_at);

create table subscriptions ( -- One standing order: a product delivered at an interval.
    subscription_id bigint primary key, -- Number of the subscription.
    customer_id bigint not null references customers, -- Account that subscribed.
    product_id bigint not null references products, -- Product delivered.
    subscription_status text not null check (subscription_status in ('active', 'paused', 'cancelled')), -- Where it stands.
    quantity bigint not null, -- Units per delivery.
    interval_days bigint not null, -- Days between deliveries.
    currency text not null, -- Currency of the price.
    unit_price numeric(18, 4) not null, -- Price of one unit per delivery, without tax.
    started_at timestamptz not null, -- When it began.
    cancelled_at timestamptz, -- When it was cancelled; null while it runs.
    next_order_date date, -- Day of the next delivery; null when none is due.
    updated_at timestamptz not null -- Last change of the row.
);
create index on subscriptions (updated_at);

grant usage on schema public to catchment_reader;
grant select on all tables in schema public to catchment_reader;
