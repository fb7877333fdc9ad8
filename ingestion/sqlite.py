"""SQLite: its catalog, its types and its dialect (https://www.sqlite.org/datatype3.html).

A column's declared type binds nothing there: each value is read as text and has to look like the column's type.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from urllib.parse import unquote

import duckdb

from ingestion.contract import literal
from ingestion.errors import SourceError
from ingestion.sql import Column, Engine, Table

# A real with as many digits as it takes to tell it apart; a blob as an SQL literal, which no other type looks like.
# SQLite rounds well to 15 digits only. Where they are too few it gives too many, marked by chr(1), for DuckDB to round;
# a text that begins with chr(1) gets another one.
_REAL = """case when abs({0}) not between 1e-15 and 1e15 then printf('%!.20g', {0})
    when cast(printf('%!.15g', {0}) as real) = {0} then printf('%!.15g', {0})
    else char(1) || printf('%!.20g', {0}) end"""
_AS_TEXT = f"""case typeof({{0}}) when 'blob' then quote({{0}}) when 'real' then {_REAL}
    else iif(unicode({{0}}) = 1, char(1), '') || {{0}} end"""
_ROUND = """case when {0}[1] != chr(1) then {0} when {0}[2] = chr(1) then {0}[2:]
    else cast(cast({0}[2:] as double) as varchar) end"""
# An integer that no float holds exactly is made one that does not fit.
_TOO_LONG = "typeof({0}) = 'integer' and {0} not between -9007199254740992 and 9007199254740992"
_AS_FLOAT = f"""case when {_TOO_LONG} then cast({{0}} as text) || ' (an integer)'
    when typeof({{0}}) = 'real' then printf('%!.20g', {{0}}) else {_AS_TEXT} end"""


class SQLite(Engine):
    """A SQLite file."""

    name = "sqlite"
    title = "SQLite"
    default_schema = "main"
    is_lenient = False
    settings = "set sqlite_all_varchar = true"

    def attach(self, db: duckdb.DuckDBPyConnection) -> None:
        """By the file's path; raises SourceError if there is none."""
        path = unquote(self.credentials.partition(":///")[2].partition("?")[0])
        try:
            with open(path, "rb") as file:
                if file.read(15) not in (b"SQLite format 3", b""):
                    raise SourceError(f"{path} is no SQLite database: check the path in its credentials")
        except OSError as error:
            raise SourceError(f"can't open {path}: {error.strerror}. Check the path in its credentials") from error
        db.execute(f"attach {literal(path)} as source (type sqlite, read_only)")

    @property
    def where(self) -> str:
        """The file."""
        return unquote(self.credentials.partition(":///")[2])

    def catalog(self, schemas: list[str]) -> list[Table]:
        """Tables and views of the file."""
        found: dict[str, dict] = {}
        for name, kind in self.rows("""
            select m.name as table_name, m.type as kind from sqlite_master as m join pragma_table_list as l using (name)
            where l.schema = 'main' and l.type in ('table', 'view') and m.name not like 'sqlite\\_%' escape '\\'
            order by m.name
        """):
            table = found[name] = {"is_view": kind == "view", "columns": [], "key": {}, "problem": "", "note": ""}
            try:
                for column, declared, is_not_null, key in self.rows(f"""
                    select name as column_name, type as declared, "notnull" as is_not_null, pk as key_position
                    from pragma_table_xinfo({literal(name)}) where hidden != 1 order by cid
                """):
                    table["columns"].append(self._column(name, column, declared or "", is_not_null == "1"))
                    if int(key):
                        table["key"][int(key)] = column
                if self._has_null(name, table["key"].values()):
                    table["key"], table["note"] = {}, "its primary key has NULLs, as SQLite allows: read without a key"
            except SourceError as error:  # a view whose tables are gone, for one
                table["problem"] = str(error)
        # Names as the catalog has them: a foreign key may write them in other cases, and leave the parent's key out.
        as_is = {name.lower(): {c.name.lower(): c.name for c in table["columns"]} for name, table in found.items()}
        table_names = {name.lower(): name for name in found}
        references: dict[str, dict[str, list[tuple[str, str, str, str]]]] = {}
        for name, number, column, table, referred in self.rows("""
            select m.name as table_name, f.id as number, f."from" as column_name, f."table" as referred_table,
                f."to" as referred
            from sqlite_master as m, pragma_foreign_key_list(m.name) as f where m.type = 'table' order by m.name, f.id
        """):
            parent = table_names.get(table.lower())
            if parent and referred is None and len(found[parent]["key"]) == 1:
                (referred,) = found[parent]["key"].values()
            if parent and referred:
                reference = (
                    as_is[name.lower()][column.lower()],
                    "main",
                    parent,
                    as_is[parent.lower()][referred.lower()],
                )
                references.setdefault(name, {}).setdefault(number, []).append(reference)
        return [
            Table(
                "main",
                name,
                tuple(table["columns"]),
                tuple(column for _, column in sorted(table["key"].items())),
                table["is_view"],
                problem=table["problem"],
                note=table["note"],
                references=tuple(columns[0] for columns in references.get(name, {}).values() if len(columns) == 1),
            )
            for name, table in found.items()
        ]

    def _has_null(self, table: str, columns: Iterable[str]) -> bool:
        conditions = " or ".join(f"{self.quote(column)} is null" for column in columns)
        return bool(conditions and self.rows(f"select 1 as one from {self.quote(table)} where {conditions} limit 1"))

    def _column(self, table: str, name: str, declared: str, is_not_null: bool) -> Column:
        """By SQLite's own rules of affinity, but for dates, booleans and decimals, which it has not."""
        text = {"reads": _AS_TEXT, "converts": _ROUND}
        common = {"name": name, "declared": declared or "no type", "is_nullable": not is_not_null}
        word = declared.upper()
        decimal = re.search(r"(?:DECIMAL|NUMERIC)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)", word)
        if any(part in word for part in ("DATE", "TIMESTAMP")):
            ((kinds,),) = self.rows(
                f"select group_concat(distinct kind) as kinds from (select typeof({self.quote(name)}) as kind "
                f"from {self.quote(table)} where {self.quote(name)} is not null limit 1000)"
            )
            if kinds in ("integer", "real", "integer,real", "real,integer"):
                lands = "BIGINT" if kinds == "integer" else "DOUBLE"
                note = f"{name} is declared as {declared} but holds numbers: it lands as numbers"
                return Column(**common, type=lands, **text, note=note)
            return Column(**common, type="TIMESTAMP" if "TIME" in word else "DATE", **text)
        if "INT" in word:
            return Column(**common, type="BIGINT", **text)
        if "BLOB" in word:
            return Column(
                **common,
                type="BLOB",
                arrives="BLOB",
                reads="case when {0} is not null then hex({0}) end",
                converts="unhex({})",
            )
        if any(part in word for part in ("CHAR", "CLOB", "TEXT", "TIME")) or not declared:
            return Column(**common, type="VARCHAR", **text)
        if "BOOL" in word:
            return Column(**common, type="BOOLEAN", **text)
        if decimal and int(decimal[1]) <= 38:
            return Column(**common, type=f"DECIMAL({decimal[1]},{decimal[2] or 0})", **text)
        if any(part in word for part in ("REAL", "FLOA", "DOUB", "NUM", "DEC")):
            return Column(**common, type="DOUBLE", reads=_AS_FLOAT, converts=_ROUND)
        note = f"{name} is of the type {declared}, which has no mapping: it lands as text"
        return Column(**common, type="VARCHAR", **text, note=note)

    def newest(self, table: Table, cursor: Column) -> str | None:
        """See `Engine.newest`."""
        name = self.quote(cursor.name)
        sensible = "" if cursor.type == "BIGINT" else f"where {name} glob '[0-9][0-9][0-9][0-9]-[0-1][0-9]-[0-3][0-9]*'"
        return self.rows(f"select max({name}) as newest from {self.table(table)} {sensible}")[0][0]

    def moment(self, cursor: Column, moment: datetime) -> str:
        """In the form in which SQLite's own functions write times."""
        return literal(moment.strftime("%Y-%m-%d %H:%M:%S"))
