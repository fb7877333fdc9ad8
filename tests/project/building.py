"""Building incremental models as dbt does on DuckDB, in a database of its own and in a fraction of the time."""

import functools
from pathlib import Path
from types import SimpleNamespace

import duckdb
import jinja2
import pyarrow
import yaml

ROOT = Path(__file__).parents[2]
MACROS = "".join(path.read_text() for path in sorted((ROOT / "macros").glob("*.sql")))
PROJECT = yaml.safe_load((ROOT / "dbt_project.yml").read_text())

template = functools.cache(jinja2.Environment(extensions=["jinja2.ext.do"]).from_string)


class Relation(str):
    """A table, as dbt's `this`."""

    identifier, schema = property(str), "intermediate"

    def incorporate(self, path):
        return Relation(path["identifier"])


class Project:
    """Builds `models` (paths below models/, in their order) upon `columns` of the table `source` and upon seeds."""

    def __init__(self, models, source, columns, seeds, **variables):
        self.models = {path.split("/")[-1]: path for path in models}
        self.source, self.again = source, functools.partial(Project, models, source, columns, seeds, **variables)
        self.db = duckdb.connect(config={"threads": 1})
        self.db.execute("set timezone = 'UTC'")
        self.db.execute(f"create table {source} ({columns}, built_in text)")
        for seed in seeds:
            self.db.execute(f"create table {seed} as from read_csv('{ROOT}/seeds/{seed}.csv', nullstr = '')")
        self.config = {}
        names = {
            "var": (PROJECT["vars"] | variables).get,
            "ref": Relation,
            "target": SimpleNamespace(type="duckdb"),
            "config": lambda **config: self.config.update(config) or "",
            "adapter": self,
            "dbt": SimpleNamespace(
                escape_single_quotes=lambda text: text.replace("'", "''"),
                dateadd=lambda part, number, time: f"{time} + interval ({number}) {part}",
                datediff=lambda start, end, part: f"date_diff('{part}', {start}, {end})",
            ),
        }
        self.names = names
        self.macros = template(MACROS)

    def dispatch(self, name, package):
        return getattr(self.macros.make_module(self.names), f"duckdb__{name}")

    def build(self, run, dies_after=99, without=()):
        """All models but some, or the first few statements of them; `run` is the name of dbt's run."""
        for name, path in self.models.items():
            if name in without:
                continue

            is_there = self.db.execute("from information_schema.tables where table_name = ?", [name]).fetchone()
            names = {"this": Relation(name), "is_incremental": lambda is_there=is_there: bool(is_there)}
            names |= {"invocation_id": run, "model": {}, **self.names}
            names |= vars(self.macros.make_module(names))

            def render(text, names=names):
                return template(text).render(names).strip()

            self.config = {}
            body = render((ROOT / "models" / f"{path}.sql").read_text())
            hooks = self.config.get("pre_hook", [])
            first = [render(hook) for hook in ([hooks] if isinstance(hooks, str) else hooks)]
            rows = [f"create or replace table {name} as {body}"]
            if hooks and is_there:
                insert = f"insert into {name} by name from new_of_{name}"
                configured = PROJECT["models"]["catchment"]["intermediate"]["web"].get(name, {})
                for predicate in configured.get("+incremental_predicates", []):  # where rows are deleted and inserted
                    condition, key = render(predicate).replace("intermediate.", ""), self.config["unique_key"]
                    delete = f"delete from {name} where {key} in (select {key} from new_of_{name}) and {condition}"
                    insert = f"begin; {delete}; {insert}; commit"
                rows = [f"create or replace temp table new_of_{name} as {body}", insert]
            for statement in filter(None, [*first, *rows, render(self.config.get("post_hook", ""))]):
                if not dies_after:
                    return
                dies_after -= 1
                self.db.execute(statement)

    def rows(self, name):
        found = self.db.table(name)
        return (
            found.project(", ".join(column for column in found.columns if column != "built_in")).order("all").fetchall()
        )

    def add(self, rows, run):
        """New rows of the source, in place of those with the same id; of several the last."""
        rows = list({row[0]: row for row in rows}.values())
        columns = [*zip(*rows, strict=True), [run] * len(rows)]
        self.db.register("new_rows", pyarrow.table(columns, names=[f"c{n}" for n in range(len(columns))]))
        (key, *_) = self.db.table(self.source).columns
        self.db.execute(f"delete from {self.source} where {key} in (select c0 from new_rows)")
        self.db.execute(f"insert into {self.source} from new_rows")

    def differing(self):
        """The models that are others when everything is built at once."""
        anew = self.again()
        anew.db.execute(f"drop table {self.source}")
        anew.db.register("rows", self.db.execute(f"from {self.source}").to_arrow_table())
        anew.db.execute(f"create table {self.source} as from rows")
        anew.build("run 0")
        return [name for name in self.models if self.rows(name) != anew.rows(name)]
