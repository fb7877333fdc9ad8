"""dlt's sql_database as its documentation shows it: URL DATABASE BACKEND full|new.

An incremental pipeline by updated_at. Its first run replaces the table, which is cheaper than a merge; then it merges.
"""

import sys
from pathlib import Path

import dlt
from dlt.sources.sql_database import sql_table

url, database, backend, task = sys.argv[1:]
table = sql_table(url, table="orders", backend=backend, incremental=dlt.sources.incremental("updated_at"))
pipeline = dlt.pipeline(
    "bench",
    pipelines_dir=str(Path(database).with_name("pipelines")),
    destination=dlt.destinations.duckdb(database),
    dataset_name="raw",
)
pipeline.run(table, write_disposition="replace" if task == "full" else "merge").raise_on_failed_jobs()
