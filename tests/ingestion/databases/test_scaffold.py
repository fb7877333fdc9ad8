"""`scaffold` of a database: its models build, test what the catalog promises, and are the user's from then on."""

import os
import shutil
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from ingestion.__main__ import main
from ingestion.pipeline import opened
from ingestion.scaffold import declared_tables
from ingestion.systems import all_systems, built_in
from sandbox.shop import READER

ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
LONG = "a_name_of_sixty_three_characters_which_is_as_long_as_they_can_be"[:63]

POSTGRES = f"""
create table region (id int primary key, name text);
create table customers (
    id bigint primary key, "Full Name" text, "order" int unique, "select" text, "interval" text, load_id text,
    x timestamptz, rating numeric, credit numeric(12, 2), vip boolean, enabled boolean, born date,
    created timestamptz not null, local_time timestamp, settings jsonb, photo bytea, tags text[],
    manager_id bigint references customers
);
comment on table customers is 'Who buys. {{{{ no_jinja }}}} {{% nor this %}}';
comment on column customers."Full Name" is 'As typed: "quoted", {{{{ braces }}}}, enabled';
create table "order" (
    "group" uuid primary key, customer int references customers, region_id int references region,
    rank int references customers ("order"), "{LONG}" timestamptz, "{LONG[:-3]}_id" int
);
create table "Order Lines" (
    order_id uuid references "order", line int, primary key (order_id, line), amount numeric(10, 2) not null
);
create schema "sales";
create table sales."{LONG}" (a text);
insert into region values (1, 'north');
insert into customers (id, "order", created, rating, "Full Name", x) values
    (1, 7, '2026-01-01 12:00+02', 0.1234567890123456789012345678901234567890123, 'A', '2026-01-01 00:00+00'),
    (2, 8, now(), null, 'B', null);
update customers set manager_id = 1;
insert into "order" values
    ('00000000-0000-0000-0000-000000000001', 2, 1, 7, '2026-01-01 12:00+02', 5),
    ('00000000-0000-0000-0000-000000000002', null, null, null, null, null);
insert into "Order Lines" select "group", 1, 1.5 from "order";
insert into sales."{LONG}" values ('twice'), ('twice'), (null);
"""


class Project:
    """A copy of the project, in which scaffold writes and dbt runs."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, left_out: tuple[str, ...] = ()) -> None:
        self.root = root
        shutil.copytree(
            ROOT, root, ignore=shutil.ignore_patterns(".?*", "__pycache__", "warehouse", "target", "logs", *left_out)
        )
        shutil.copytree(ROOT / ".dlt", root / ".dlt", ignore=shutil.ignore_patterns("secrets.toml", ".var"))
        monkeypatch.chdir(root)
        self.folder = root / "models/staging/erp"

    def run(self, *command: str, **environment: str) -> str:
        """What a command prints; fails with it if the command does."""
        run = subprocess.run(
            [BIN / command[0], *command[1:]],
            cwd=self.root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def model(self, name: str) -> dict:
        """A model's entry in the YAML, its columns by name."""
        models = yaml.safe_load((self.folder / "_erp__models.yml").read_text())["models"]
        (entry,) = (model for model in models if model["name"] == name)
        return {**entry, "columns": {column["name"]: column for column in entry["columns"]}}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """What dbt needs to build the models of a database, and one system of ours."""
    left_out = ("intermediate", "marts", "singular", "operations", "enrichments", *(built_in().keys() - {"shop"}))
    return Project(tmp_path / "project", monkeypatch, left_out)


@pytest.fixture
def whole_project(tmp_path, monkeypatch):
    return Project(tmp_path / "project", monkeypatch)


def relationships(model: dict) -> dict[str, tuple[str, str, str]]:
    """Column -> (model, field, severity) of a model's tests of foreign keys."""
    return {
        name: (test["arguments"]["to"], test["arguments"]["field"], test.get("config", {}).get("severity", "error"))
        for name, column in model["columns"].items()
        for tests in column.get("data_tests", [])
        for test in ([tests["relationships"]] if "relationships" in tests else [])
    }


def scaffold(capsys, name: str = "erp") -> str:
    """What `scaffold` prints; it must succeed."""
    capsys.readouterr()
    assert main(["scaffold", name]) == 0
    return capsys.readouterr().out


def test_what_is_written_builds_and_keeps_the_house_rules(
    postgres_database, warehouse, whole_project, capsys, monkeypatch
):
    postgres_database.execute(POSTGRES + f"revoke select on region from {READER}")
    warehouse.run("erp")
    told = scaffold(capsys)
    assert "erp.region has not landed; run first: python -m ingestion run erp\n" in told
    assert "wrote models/staging/erp/stg_erp__customers.sql\n" in told
    assert not (whole_project.folder / "stg_erp__region.sql").exists()

    output = whole_project.run("dbt", "build", "--select", "staging.erp")
    # 4 tables; 4 grains, 4 columns of keys, 4 foreign keys
    assert "PASS=17 WARN=0 ERROR=0 SKIP=0" in output, output
    columns = "id, order_, manager_id, full_name, rating, x, typeof(created)"
    assert warehouse.query(f"select {columns} from staging.stg_erp__customers order by id") == [
        ("1", "7", "1", "A", "0.1234567890123456789012345678901234567890123", datetime(2026, 1, 1), "TIMESTAMP"),
        ("2", "8", "1", "B", None, None, "TIMESTAMP"),
    ]
    assert warehouse.query("select order_id, line, amount from staging.stg_erp__order_lines order by 1") == [
        ("00000000-0000-0000-0000-000000000001", 1, Decimal("1.5")),
        ("00000000-0000-0000-0000-000000000002", 1, Decimal("1.5")),
    ]
    keyless = f"stg_erp__sales__{LONG}"
    assert warehouse.query(f"select count(*), count(a), count(distinct row_key) from staging.{keyless}") == [(3, 2, 3)]

    lines, order = whole_project.model("stg_erp__order_lines"), whole_project.model("stg_erp__order")
    assert relationships(lines) == {"order_id": ("ref('stg_erp__order')", "group_", "error")}
    assert relationships(order) == {  # not region_id, whose table has not landed
        "customer": ("ref('stg_erp__customers')", "id", "error"),
        "rank": ("ref('stg_erp__customers')", "order_", "error"),
    }
    assert "Grain: one row per order_id and line " in lines["description"]
    assert "It has no key" in whole_project.model(keyless)["description"]
    customers = whole_project.model("stg_erp__customers")
    assert customers["description"].startswith("Who buys. { { no_jinja }} { % nor this %}. Grain: one row per id ")
    assert customers["columns"]["full_name"]["description"] == 'As typed: "quoted", { { braces }}, enabled'
    assert customers["columns"]["credit"]["description"] == "credit, numeric(12,2)."

    # The user's tests go on passing, and in a warehouse where the database has not landed the models build too.
    whole_project.run("sqlfmt", "--check", "models/staging/erp")
    for name in [name for name in os.environ if name.startswith("SOURCES__")]:
        os.environ.pop(name)  # the fixture puts them back
    rules = ["tests/project/test_house_rules.py", "tests/project/test_portable_sql.py"]
    whole_project.run("python", "-m", "pytest", "-n0", *rules)
    warehouse.file.unlink()
    with opened(all_systems().values()):
        pass
    output = whole_project.run("dbt", "build", "--select", "staging.erp")
    assert "PASS=17 WARN=0 ERROR=0 SKIP=0" in output, output
    for path in whole_project.folder.glob("*.sql"):
        described = whole_project.model(path.stem)["columns"].values()
        statement = "select column_name from information_schema.columns where table_name = ?"
        assert {column["name"] for column in described if column["description"]} == {
            name for (name,) in warehouse.query(statement, path.stem)
        }


def test_the_tests_of_a_model_fail_where_the_catalog_was_wrong(postgres_database, warehouse, project, capsys):
    postgres_database.execute("""
        create table parent (id int primary key);
        create table child (id int primary key, parent_id int references parent);
        insert into parent values (1); insert into child values (1, 1);
    """)
    warehouse.run("erp")
    scaffold(capsys)
    warehouse.query("update raw_erp.child set parent_id = 2")
    warehouse.query("insert into raw_erp.parent by name select null as id, 'x' as _key, now() as _observed_at")
    with pytest.raises(AssertionError) as failed:
        project.run("dbt", "build", "--select", "staging.erp")
    assert "relationships_stg_erp__child_parent_id__id__ref_stg_erp__parent" in str(failed.value)
    assert "unique_grain_stg_erp__parent_id" in str(failed.value)
    assert "not_null_stg_erp__parent_id" in str(failed.value)


def test_what_is_there_is_not_overwritten(postgres_database, warehouse, project, capsys):
    postgres_database.execute("""
        create table parent (id int primary key); create table child (id int primary key, p int references parent);
    """)
    warehouse.run("erp")
    scaffold(capsys)
    sources, models = project.folder / "_erp__sources.yml", project.folder / "_erp__models.yml"
    child, parent = project.folder / "stg_erp__child.sql", project.folder / "sub/stg_erp__parent.sql"
    parent.parent.mkdir()
    (project.folder / "stg_erp__parent.sql").rename(parent)
    child.write_text("-- mine")
    before = models.read_text()

    postgres_database.execute(
        "create table later (id int primary key, p int references parent, c int references child)"
    )
    warehouse.run("erp")
    told = scaffold(capsys)
    assert "kept models/staging/erp/stg_erp__child.sql: it is yours\n" in told
    assert "kept models/staging/erp/sub/stg_erp__parent.sql: it is yours\n" in told
    assert (
        "kept models/staging/erp/_erp__models.yml: it is yours (remove it to have it anew, with stg_erp__later)" in told
    )
    assert "wrote models/staging/erp/_erp__sources.yml\n" in told
    assert "wrote models/staging/erp/stg_erp__later.sql\n" in told
    assert child.read_text() == "-- mine"
    assert models.read_text() == before
    assert "- name: later" in sources.read_text()
    assert not (project.folder / "stg_erp__parent.sql").exists()

    # Anew: what the user's own SQL selects is not known, so it is neither described nor tested against.
    models.unlink()
    sources.write_text("# mine\nversion: 2\n")
    told = scaffold(capsys)
    assert "kept models/staging/erp/_erp__sources.yml: it is yours\n" in told
    assert sources.read_text() == "# mine\nversion: 2\n"
    assert [m["name"] for m in yaml.safe_load(models.read_text())["models"]] == ["stg_erp__later", "stg_erp__parent"]
    assert relationships(project.model("stg_erp__later")) == {"p": ("ref('stg_erp__parent')", "id", "error")}


def test_models_of_built_in_systems_are_not_touched(project, capsys):
    before = {path: path.read_bytes() for path in (project.root / "models").rglob("*.*")}
    assert scaffold(capsys, "shop") == "wrote models/staging/shop/_shop__sources.yml\n"
    assert {path: path.read_bytes() for path in (project.root / "models").rglob("*.*")} == before


def test_sources_keep_the_tables_that_models_may_read(postgres_database, warehouse, project, capsys):
    postgres_database.execute("""
        create table stays (id int primary key, kept text, goes text, widened int);
        create table leaves (id int primary key, "a" numeric(5, 2));
        insert into stays values (1, 'a', 'b', 1); insert into leaves values (1, 1);
    """)
    warehouse.run("erp")
    scaffold(capsys)
    elsewhere = declared_tables()
    assert elsewhere["erp"]["leaves"][:2] == [
        ("id", "BIGINT", "id, integer."),
        ("a", "DECIMAL(5,2)", "a, numeric(5,2)."),
    ]

    postgres_database.execute("""
        drop table leaves;
        alter table stays drop column goes, alter widened type numeric(30, 5), add new text;
    """)
    scaffold(capsys)  # before the next run: as raw is
    assert [name for name, _, _ in declared_tables()["erp"]["stays"]][:4] == ["id", "kept", "widened", "goes"]
    assert dict(zip(("name", "type"), declared_tables()["erp"]["stays"][2], strict=False))["type"] == "BIGINT"
    warehouse.run("erp")
    for path in project.folder.glob("stg_erp__stays.sql"):
        path.unlink()
    scaffold(capsys)
    now = {name: (sql_type, text) for name, sql_type, text in declared_tables()["erp"]["stays"]}
    assert now["widened"][0] == "DECIMAL(30,5)"
    assert now["goes"] == ("VARCHAR", "No longer in the source. goes, text.")
    assert "new" in now
    assert "goes" not in (project.folder / "stg_erp__stays.sql").read_text()
    assert "leaves" in declared_tables()["erp"]
    project.run("dbt", "build", "--select", "staging.erp")

    # In a warehouse without them the tables are made from the file, and a table that never landed there stays in it.
    warehouse.file.unlink()
    postgres_database.execute("create table only_here (id int primary key)")
    warehouse.run("erp", streams=("only_here",))
    told = scaffold(capsys)
    assert "erp.stays has not landed" in told
    assert {"stays", "leaves", "only_here"} <= declared_tables()["erp"].keys()
    project.run("dbt", "build", "--select", "staging.erp")


def test_nothing_has_landed_or_is_configured(postgres_database, project, capsys, monkeypatch):
    postgres_database.execute("create table t (id int primary key)")
    assert main(["scaffold", "erp"]) == 1
    told = capsys.readouterr().out
    assert "erp: failed: nothing of erp has landed in " in told
    assert "run first: python -m ingestion run erp" in told
    assert not project.folder.exists()
    monkeypatch.setenv("SOURCES__DATABASES__ERP__SCHEMAS", '["public"]')
    monkeypatch.delenv("SOURCES__DATABASES__ERP__CREDENTIALS")
    assert main(["scaffold", "erp"]) == 2
    assert "SOURCES__DATABASES__ERP__CREDENTIALS" in capsys.readouterr().err
    assert main(["scaffold"]) == 0
    assert "erp" not in capsys.readouterr().out


def test_foreign_keys_that_the_database_need_not_keep_warn(sqlite_database, warehouse, project, capsys):
    sqlite_database.execute("""
        create table parent (id integer primary key, name text);
        create table child (id integer primary key, PARENT_ID int references Parent, at datetime, note text);
        insert into parent values (1, 'a');
        insert into child values (1, 1, '2026-01-01 12:00:00', 'ok'), (2, 99, null, null);
    """)
    warehouse.run("erp")
    scaffold(capsys)
    output = project.run("dbt", "build", "--select", "staging.erp")
    assert "PASS=7 WARN=1 ERROR=0 SKIP=0" in output, output
    assert relationships(project.model("stg_erp__child")) == {"parent_id": ("ref('stg_erp__parent')", "id", "warn")}
    assert warehouse.query("select id, parent_id, at_, note from staging.stg_erp__child order by id") == [
        ("1", "1", datetime(2026, 1, 1, 12), "ok"),
        ("2", "99", None, None),
    ]


def test_text_that_mysql_takes_for_equal_warns(mysql_database, warehouse, project, capsys):
    mysql_database.execute("""
        create table parent (code varchar(5) primary key, id bigint unsigned unique) comment 'A parent.';
        create table child (
            id int primary key auto_increment, `key` enum('a', 'b') comment 'Not the key.', amount decimal(65, 30),
            code varchar(5), parent_id bigint unsigned,
            foreign key (code) references parent (code), foreign key (parent_id) references parent (id)
        );
        insert into parent values ('A', 18446744073709551615);
        insert into child (`key`, code, parent_id, amount) values ('a', 'a', 18446744073709551615, 1.5);
    """)
    warehouse.run("erp")
    scaffold(capsys)
    output = project.run("dbt", "build", "--select", "staging.erp")
    assert "PASS=8 WARN=1 ERROR=0 SKIP=0" in output, output
    child, parent = project.model("stg_erp__child"), project.model("stg_erp__parent")
    assert relationships(child) == {
        "code": ("ref('stg_erp__parent')", "code", "warn"),
        "parent_id": ("ref('stg_erp__parent')", "id", "error"),
    }
    assert child["columns"]["key"]["description"] == "Not the key."
    assert parent["description"].startswith("A parent. Grain: ")
    assert warehouse.query("select key, code, parent_id, amount from staging.stg_erp__child") == [
        ("a", "a", "18446744073709551615", "1.500000000000000000000000000000")
    ]
