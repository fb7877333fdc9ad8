"""dlt's rest_api as its documentation shows it: URL DATABASE."""

import sys
from pathlib import Path

import dlt
from dlt.sources.rest_api import rest_api_source

url, database = sys.argv[1:]
source = rest_api_source(
    {
        "client": {
            "base_url": url,
            "paginator": {"type": "page_number", "base_page": 1, "total_path": None},
        },
        "resources": [{"name": "contacts", "endpoint": {"path": "contacts", "data_selector": "results"}}],
    }
)
pipeline = dlt.pipeline(
    "bench",
    pipelines_dir=str(Path(database).with_name("pipelines")),
    destination=dlt.destinations.duckdb(database),
    dataset_name="raw",
)
pipeline.run(source).raise_on_failed_jobs()
