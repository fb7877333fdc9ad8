"""Writes docs/metrics.md, what every figure means and where it is: `make metrics` runs it.

A metric is a doc block in models/marts/<domain>/_<domain>__metrics.md, and the mart column whose description it is.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_suffix(".md")

INTRODUCTION = """\
# What the figures mean

<!-- Written by `make metrics` from the doc blocks in models/marts/*/_*__metrics.md: change those, not this. -->

Every figure has one definition and one column of a mart; what other marts have of it, their own columns say. Null means
that there is nothing to tell: no denominator, say. A fraction of 0.2 is 20 %. The base currency is the variable
`base_currency` in [dbt_project.yml](../dbt_project.yml). How to add a figure:
[first_model.md](first_model.md#where-to-go-from-here).
"""


@dataclass(frozen=True)
class Metric:
    """A doc block and a mart column that uses it."""

    name: str
    definition: str
    domain: str  # the folder of the mart
    mart: str  # schema.table
    column: dict[str, Any]  # as the manifest has it
    grain: str


def definitions(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every doc block beside the marts in dbt's manifest, by its unique id."""
    return {i: doc for i, doc in manifest["docs"].items() if doc["original_file_path"].startswith("models/marts/")}


def metrics(manifest: dict[str, Any]) -> list[Metric]:
    """What dbt's manifest has of metrics, by domain, mart and place of the column in it."""
    docs, found = definitions(manifest), []
    for model in manifest["nodes"].values():
        if model["original_file_path"].startswith("models/marts/") and model["resource_type"] == "model":
            domain, mart = Path(model["original_file_path"]).parts[2], f"{model['schema']}.{model['name']}"
            _, _, grain = model["description"].partition("Grain: ")
            for column in model["columns"].values():
                for doc in (docs[i] for i in column["doc_blocks"] if i in docs):
                    definition = doc["block_contents"].strip()
                    found.append(Metric(doc["name"], definition, domain, mart, column, grain.strip()))
    return sorted(found, key=lambda metric: (metric.domain, metric.mart))


def page(manifest: dict[str, Any]) -> str:
    """The text of docs/metrics.md."""
    index, sections = ["| domain | figures |", "|---|---|"], []
    for domain, of_domain in groupby(metrics(manifest), key=lambda metric: metric.domain):
        listed = list(of_domain)
        names = ", ".join(f"[{metric.name}](#{metric.name})" for metric in listed)
        index.append(f"| [{domain}](#{domain}) | {names} |")
        sections += [f"## {domain}", *(_section(metric) for metric in listed)]
    return "\n\n".join([INTRODUCTION + "\n" + "\n".join(index), *sections]) + "\n"


def _section(metric: Metric) -> str:
    where = f"`{metric.mart}.{metric.column['name']}`, {metric.column['data_type']}; {metric.grain}"
    return f"### {metric.name}\n\n{metric.definition}\n\n{where}"


def main() -> int:
    """Has dbt read the project, and writes the page; the exit status is dbt's, which has said why."""
    status = subprocess.run(["dbt", "--quiet", "parse"]).returncode
    if not status:
        manifest = Path(os.environ.get("DBT_TARGET_PATH", "target"), "manifest.json")
        PAGE.write_text(page(json.loads(manifest.read_text())))
    return status


if __name__ == "__main__":
    sys.exit(main())
