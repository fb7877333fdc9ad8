"""The rules of the house that dbt does not hold itself, read from its manifest."""

import re
from pathlib import Path

from ingestion.enrichments import SYSTEM
from ingestion.scaffold import sources, sources_path
from ingestion.systems import built_in

ROOT = Path(__file__).parents[2]
OWN_SOURCES = {"operations", "enrichments"}  # written by ingest itself, not by a system
AGGREGATE = re.compile(
    r"\b((join|group\s+by|having|distinct|union|intersect|except)\b|(sum|count|min|max|avg)\s*\()", re.I
)
CLOCK = re.compile(
    r"\b(now\(|today\(|current_(date|time|timestamp)\b|getdate\()|\{\{[^}]*\b(run_started_at\b|modules\.)", re.I
)
ENABLED = re.compile(r"(^|[{,+])\s*enabled\s*:|\benabled\s*=", re.M)
COLUMN_TYPES = {r".*_id$": "string", r"^(is|has)_.*": "boolean", r".*_at$": "timestamp", r".*_date$": "date"}
PREFIXES = {"staging": "stg_{folder}__", "intermediate": r"int_\w+__", "marts": "(dim|fct|bridge|ftr)_"}


def layer(model):
    return Path(model["original_file_path"]).parts[1]


def folder(model):
    return Path(model["original_file_path"]).parts[2]


def sql(model):
    """The model's text without comments, and without names that are quoted."""
    return re.sub(r"\{#.*?#\}|--[^\n]*|adapter\.quote\(\"\w+\"\)", "", model["raw_code"], flags=re.S)


def parents(model, models):
    """The models that a model reads."""
    names = [unique_id.split(".")[-1] for unique_id in model["depends_on"]["nodes"] if unique_id.startswith("model.")]
    return [models[name] for name in names]


def read_sources(model):
    return [unique_id for unique_id in model["depends_on"]["nodes"] if unique_id.startswith("source.")]


def test_only_staging_reads_sources_and_every_staging_model_one_table(models):
    for name, model in models.items():
        assert len(read_sources(model)) == (layer(model) == "staging"), name


def test_staging_reads_no_other_model_and_neither_joins_nor_aggregates(models):
    for name, model in models.items():
        if layer(model) == "staging":
            assert not parents(model, models), name
            assert not AGGREGATE.search(re.sub(r"\{\{.*?\}\}", "", sql(model), flags=re.S)), name


def test_a_staging_model_reads_the_source_of_its_folder(models):
    for name, model in models.items():
        for source in read_sources(model):
            assert source.split(".")[2] == folder(model), name


def test_only_unioned_models_bring_systems_together(models):
    for name, model in models.items():
        systems = {folder(parent) for parent in parents(model, models) if layer(parent) == "staging"}
        systems -= OWN_SOURCES
        assert len(systems) <= 1 or re.fullmatch(r"int_\w+__unioned", name), f"{name} reads {systems}"


def test_marts_read_intermediate_models_or_marts_and_features_marts_only(models):
    for name, model in models.items():
        if layer(model) == "marts":
            allowed = {"marts"} if name.startswith("ftr_") else {"marts", "intermediate"}
            assert {layer(parent) for parent in parents(model, models)} <= allowed, name


def test_names_tell_layer_and_folder(models):
    for name, model in models.items():
        assert layer(model) in PREFIXES, f"{name} is in no layer"
        prefix = PREFIXES[layer(model)].format(folder=folder(model))
        assert re.match(prefix, name), f"{name} is not called {prefix}..."
        assert model["schema"] in (layer(model), "operations"), name


def test_every_model_says_and_tests_its_grain(models, manifest):
    tested = {
        test["attached_node"]
        for test in manifest["nodes"].values()
        if test["resource_type"] == "test" and (test.get("test_metadata") or {}).get("name") == "unique_grain"
    }
    for name, model in models.items():
        assert model["unique_id"] in tested, f"{name} has no unique_grain"
        assert "Grain: " in model["description"], f"the description of {name} does not say its grain"


def test_marts_have_an_enforced_contract_a_group_and_are_public(models):
    for name, model in models.items():
        if layer(model) == "marts":
            assert model["contract"]["enforced"], name
            assert model["group"], name
            assert model["access"] == "public", name


def test_column_names_tell_their_type(models):
    for name, model in models.items():
        if layer(model) == "marts":
            for column in model["columns"].values():
                for pattern, data_type in COLUMN_TYPES.items():
                    if re.match(pattern, column["name"]):
                        assert column["data_type"] == data_type, f"{name}.{column['name']}"


def test_nothing_is_switched_off(manifest):
    files = [ROOT / "dbt_project.yml", *(ROOT / "models").rglob("*.yml"), *(ROOT / "models").rglob("*.sql")]
    for path in files:
        assert not ENABLED.search(path.read_text()), path
    assert not manifest["disabled"]


def test_no_model_asks_the_clock(models):
    for name, model in models.items():
        assert not CLOCK.search(sql(model)), name


def test_models_import_first_and_end_with_the_final_step(models):
    for name, model in models.items():
        text = sql(model).strip()
        assert re.search(r"\n    final_cte as \(", text), f"{name} has no final_cte"
        assert text.endswith("select *\nfrom final_cte"), f"{name} does not end with select * from final_cte"
        steps = re.split(r"\n    \w+ as \(", text)[1:]
        is_import = [bool(re.match(r"\s*(select \*\s+from )?\{\{[^{}]*\b(ref|source)\(", step)) for step in steps]
        assert is_import == sorted(is_import, reverse=True), f"{name} imports after its first step"
        for step, imports in zip(steps, is_import, strict=True):
            assert imports or not re.search(r"\b(ref|source)\(", step), f"{name} reads a table in a step"


def test_tables_have_no_single_letter_aliases(models):
    for name, model in models.items():
        # What is cast is a column, whose name is the source's.
        assert not re.search(r"(?<! as string\) )(?<! as timestamp\) )\bas [a-z]\b", sql(model)), name


def test_a_system_has_one_name_everywhere(models, manifest):
    systems = set(built_in())
    folders = {path.name for path in (ROOT / "models/staging").iterdir()} - OWN_SOURCES
    assert systems <= folders  # the others are the user's: databases of the configuration, tables loaded otherwise
    assert folders == {source["source_name"] for source in manifest["sources"].values()} - OWN_SOURCES
    assert folders == {folder(model) for model in models.values() if layer(model) == "staging"} - OWN_SOURCES
    assert systems <= {path.stem.removeprefix("test_") for path in (ROOT / "tests/ingestion").glob("test_*.py")}
    for system in systems:
        assert (ROOT / f"ingestion/{system}.py").exists()
    for source in manifest["sources"].values():
        assert source["schema"] == f"raw_{source['source_name']}"


def test_sources_are_what_the_contracts_say():
    for system in [*built_in().values(), SYSTEM]:
        assert sources_path(system.name, ROOT).read_text() == sources(system), (
            f"run: python -m ingestion scaffold {system.name}"
        )
