"""The least that a script could do: URL DATABASE. httpx, orjson, a nested Arrow table per page, DuckDB."""

import sys

import duckdb
import httpx
import orjson
import pyarrow as pa

url, database = sys.argv[1:]
connection, page, client = duckdb.connect(database), 1, httpx.Client()
while page:
    answer = orjson.loads(client.get(f"{url}/contacts", params={"page": page}).content)
    rows = pa.Table.from_pylist(answer["results"])
    connection.execute("create table contacts as from rows" if page == 1 else "insert into contacts from rows")
    page = answer["next"]
connection.close()
