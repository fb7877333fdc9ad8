"""Each figure has one definition and one mart column, and docs/metrics.md has them all.

That a column names a definition that there is, dbt holds: it stops reading the project.
"""

from docs.metrics import PAGE, definitions, metrics, page


def test_the_page_has_what_the_definitions_say(manifest):
    assert PAGE.read_text() == page(manifest), "docs/metrics.md is not what the definitions say; run: make metrics"


def test_each_definition_is_the_description_of_one_column(manifest):
    used = [metric.name for metric in metrics(manifest)]
    for doc in definitions(manifest).values():
        place = f"{doc['name']} in {doc['original_file_path']}"
        assert used.count(doc["name"]) == 1, f"{place} describes {used.count(doc['name'])} columns of marts"
    for metric in metrics(manifest):
        assert metric.column["description"].strip() == metric.definition, f"{metric.name} is not all of the description"


def test_names_of_definitions_files_and_columns_agree(manifest):
    paths = {doc["name"]: doc["original_file_path"] for doc in definitions(manifest).values()}
    for metric in metrics(manifest):
        assert paths[metric.name] == f"models/marts/{metric.domain}/_{metric.domain}__metrics.md", metric.name
        column = metric.column["name"]  # which says enough in its mart, but not always beside the others
        assert f"_{metric.name}".endswith(f"_{column}"), f"{metric.name} defines {column}: it should end in that name"


def test_definitions_are_short_and_say_when_the_figure_is_null(manifest):
    for metric in metrics(manifest):
        assert 2 <= len(metric.definition.splitlines()) <= 5, metric.name
        never_null = "not_null" in [constraint["type"] for constraint in metric.column["constraints"]]
        assert never_null or "null" in metric.definition, f"{metric.name} does not say when it is null"
