"""DuckDB's postgres_scanner and nothing else: URL DATABASE full|new. What any reader into DuckDB could reach."""

import sys
from pathlib import Path

import duckdb
import duckdb_extension_postgres_scanner

url, database, task = sys.argv[1:]
extension = next(Path(duckdb_extension_postgres_scanner.__file__).parent.glob("extensions/*/*.duckdb_extension"))
connection = duckdb.connect(database)
connection.execute(f"load '{extension}'")
connection.execute(f"attach '{url}' as source (type postgres, read_only)")
if task == "full":
    connection.execute("create table orders as from source.public.orders")
else:
    newest = connection.execute("select max(updated_at)::varchar from orders").fetchone()[0]
    connection.execute("set pg_use_ctid_scan = false")  # by page ranges it would read the whole table, not the index
    connection.execute(f"insert into orders from source.public.orders where updated_at > timestamptz '{newest}'")
connection.close()
