-- The tables that workload.py writes to: what change capture finds hard, in the smallest shop that has it.

create sequence workload_numbers start 1000000000 increment 1000; -- new keys, far from what the serial columns count
create domain email_address as text check (value like '%@%');
create type order_status as enum ('new', 'paid', 'sent', 'returned');
create type address as (street text, city text);

-- A value out of line (TOAST, not compressed) that most updates leave alone.
create table customers (
    customer_id serial primary key,
    name text not null,
    email email_address,
    preferences jsonb,
    is_active boolean,
    created_at timestamptz,
    notes text
);
alter table customers alter notes set storage external;

create table orders (
    order_id bigint primary key,
    customer_id integer references customers on update cascade on delete set null,
    channel varchar(20),
    status order_status not null,
    total numeric(12, 2),
    ordered_at timestamptz,
    due_at timestamp,
    tags integer[],
    ship_to address,
    lead_time interval
);
create index on orders (customer_id);

-- A key of two columns; a line that moves to another order changes it.
create table order_lines (
    order_id bigint references orders on update cascade on delete cascade,
    line_number integer,
    sku text,
    quantity smallint,
    unit_price numeric(12, 2),
    primary key (order_id, line_number)
);

-- Keys with every odd character, and types with values that are no numbers and no dates.
create table stock_levels (
    sku text primary key,
    quantity integer,
    weight double precision,
    turnover real,
    photo bytea,
    batch uuid,
    best_before date,
    counted_at time,
    scanner inet,
    stock_value money
);

-- Rows that get another day move to another partition: workload.py makes one a day.
create table events_by_day (
    event_id bigint,
    day date,
    kind varchar(20),
    payload jsonb,
    primary key (event_id, day)
) partition by range (day);
alter table events_by_day alter payload set storage external;

-- Old rows are in the log as a whole.
create table price_lists (
    price_list_id integer primary key,
    title varchar(20),
    discount numeric(12, 2),
    terms text
);
alter table price_lists alter terms set storage external, replica identity full;

-- Rows are told apart in the log by a column that is not the primary key.
create table suppliers (
    supplier_id serial primary key,
    tax_number text not null unique,
    name varchar(20),
    rating smallint,
    contact jsonb
);
alter table suppliers replica identity using index suppliers_tax_number_key;

-- Emptied again and again; cart_items with it.
create table carts (
    cart_id serial primary key,
    visitor text,
    updated_at timestamptz
);
create table cart_items (
    cart_id integer references carts on update cascade on delete cascade,
    line_number integer,
    sku text,
    quantity integer,
    primary key (cart_id, line_number)
);

-- Without a key, hence not in the publication.
create table search_terms (
    term text,
    result_count integer,
    searched_at timestamptz
);
