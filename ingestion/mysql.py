"""MySQL and MariaDB: their catalog, their types and their dialect (https://dev.mysql.com/doc/refman/9.5/en/).

A column that the database itself sets at every change (ON UPDATE CURRENT_TIMESTAMP) is a cursor without being declared.
"""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote, urlsplit

import duckdb

from ingestion.contract import literal
from ingestion.errors import SourceError
from ingestion.sql import Column, Engine, Table

# What information_schema calls a type -> how it is read, how that arrives, how it lands. Dates and times are read as
# text because of MySQL's dates without a day, month or year; decimals because the scanner is slow at them.
_TYPES = {
    "bit": ("lpad(bin({} + 0), {bits}, '0')", "VARCHAR", "VARCHAR"),
    "year": ("cast({} as signed)", "BIGINT", "BIGINT"),
    "float": ("cast({} as double)", "DOUBLE", "FLOAT"),
    "double": ("{}", "DOUBLE", "DOUBLE"),
    "date": ("cast({} as char)", "VARCHAR", "DATE"),
    "datetime": ("cast({} as char)", "VARCHAR", "TIMESTAMP"),
    "timestamp": ("cast({} as char)", "VARCHAR", "TIMESTAMP WITH TIME ZONE"),
    "time": ("cast({} as char)", "VARCHAR", "VARCHAR"),
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint"), ("cast({} as signed)", "BIGINT", "BIGINT")),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), ("{}", "VARCHAR", "VARCHAR")),
    **dict.fromkeys(("enum", "set", "json", "uuid", "inet4", "inet6"), ("{}", "VARCHAR", "VARCHAR")),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), ("{}", "BLOB", "BLOB")),
    **dict.fromkeys(
        ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"),
        ("st_astext({})", "VARCHAR", "VARCHAR"),
    ),
    **dict.fromkeys(("geometrycollection", "geomcollection"), ("st_astext({})", "VARCHAR", "VARCHAR")),
}


_TLS = ("ssl_mode", "ssl_ca", "ssl_capath", "ssl_cert", "ssl_cipher", "ssl_crl", "ssl_crlpath", "ssl_key")


class MySQL(Engine):
    """A database (schema) of a MySQL or MariaDB server, and the others that the role may read."""

    name = "mysql"
    title = "MySQL"
    must_name_schemas = True
    settings = """
        set mysql_session_time_zone = '+00:00'; set mysql_query_timeout_enabled = false;
        set mysql_sql_buffer_result = false
    """

    def __init__(self, credentials: str) -> None:
        super().__init__(credentials)
        self.default_schema = unquote(urlsplit(credentials).path.strip("/"))

    def attach(self, db: duckdb.DuckDBPyConnection) -> None:
        """By a secret in memory, which takes every password as it is; of the URL's parameters those of TLS count."""
        url = urlsplit(self.credentials)
        if not self.default_schema:
            raise SourceError(f"{self.where}: the URL names no database; write mysql://user:password@host/database")
        options = {
            "host": url.hostname or "127.0.0.1",
            "port": str(url.port or 3306),
            "user": unquote(url.username or ""),
            "password": unquote(url.password or ""),
            "database": self.default_schema,
            **{name: value for name, value in parse_qsl(url.query) if name in _TLS},
        }
        written = ", ".join(f"{name} {literal(value)}" for name, value in options.items())
        db.execute(f"create temporary secret (type mysql, {written})")
        db.execute("attach '' as source (type mysql, read_only)")

    def quote(self, name: str) -> str:
        """In backticks."""
        return f"`{name.replace('`', '``')}`"

    def key_literal(self, column: Column, text: str) -> str:
        """See `Engine.key_literal`; decimals that are too wide for ours are numbers there too."""
        return text if column.declared.startswith("decimal") else super().key_literal(column, text)

    def literal(self, text: str) -> str:
        """With its backslashes doubled."""
        return literal(text.replace("\\", "\\\\"))

    def catalog(self, schemas: list[str]) -> list[Table]:
        """Tables and views; without schemas those of the database that the URL names."""
        chosen = ", ".join(map(self.literal, schemas or [self.default_schema]))
        tables: dict[tuple[str, str], dict] = {}
        rows = self.rows(f"""
            select t.table_schema, t.table_name, t.table_type, t.table_comment, c.column_name, c.data_type,
                c.column_type, c.collation_name, c.numeric_precision, c.numeric_scale, c.is_nullable, c.column_comment,
                c.extra
            from information_schema.tables as t
            join information_schema.columns as c on c.table_schema = t.table_schema and c.table_name = t.table_name
            where t.table_schema in ({chosen}) and t.table_type in ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
            order by t.table_schema, t.table_name, c.ordinal_position
        """)
        for schema, name, kind, comment, column, *described in rows:
            values = tables.setdefault(
                (schema, name),
                {
                    "is_view": kind == "VIEW",
                    "comment": "" if kind == "VIEW" else comment,
                    "columns": [],
                    "cursor": None,
                },
            )
            values["columns"].append(_column(column, *described))
            if re.search("on update current_timestamp", described[-1], re.IGNORECASE):
                values["cursor"] = column
        keys: dict[tuple[str, str], dict[str, list[tuple[str, str]]]] = {}
        for schema, name, index, column, nullable in self.rows(f"""
            select table_schema, table_name, index_name, column_name, nullable
            from information_schema.statistics
            where table_schema in ({chosen}) and non_unique = 0 and sub_part is null
            order by table_schema, table_name, index_name != 'PRIMARY', index_name, seq_in_index
        """):
            keys.setdefault((schema, name), {}).setdefault(index, []).append((column, nullable))
        references: dict[tuple[str, str], dict[str, list[tuple[str, str, str, str]]]] = {}
        for schema, name, constraint, *reference in self.rows(f"""
            select table_schema, table_name, constraint_name, column_name, referenced_table_schema,
                referenced_table_name, referenced_column_name
            from information_schema.key_column_usage
            where table_schema in ({chosen}) and referenced_table_name is not null
            order by table_schema, table_name, constraint_name
        """):
            references.setdefault((schema, name), {}).setdefault(constraint, []).append(tuple(reference))
        found = []
        for (schema, name), values in tables.items():
            unique = [
                tuple(column for column, _ in columns)
                for columns in keys.get((schema, name), {}).values()
                if all(column and nullable != "YES" for column, nullable in columns)
            ]
            singles = [columns[0] for columns in references.get((schema, name), {}).values() if len(columns) == 1]
            found.append(
                Table(
                    schema,
                    name,
                    **{**values, "columns": tuple(values["columns"])},
                    key=unique[0] if unique else (),
                    references=tuple(singles),
                )
            )
        return found

    def newest(self, table: Table, cursor: Column) -> str | None:
        """See `Engine.newest`."""
        name = self.quote(cursor.name)
        sensible = "" if cursor.type == "BIGINT" else f"where {name} >= '1000-01-01'"
        return self.rows(f"select {self.text(f'max({name})')} as newest from {self.table(table)} {sensible}")[0][0]

    def integer(self, value: str) -> str:
        """See `Engine.integer`."""
        return f"cast({value} as signed)"

    def text(self, value: str) -> str:
        """See `Engine.text`."""
        return f"cast({value} as char)"

    def number(self, cursor: Column) -> str:
        """See `Engine.number`."""
        name = self.quote(cursor.name)
        if cursor.type == "BIGINT":
            return f"coalesce({self.integer(name)}, 0)"
        return f"coalesce(timestampdiff(microsecond, '1970-01-01', {name}), 0)"

    def oldest_write(self) -> datetime | None:
        """Of the transactions that have written; to see them needs the privilege PROCESS."""
        rows = self.rows_beside("""
            select timestampdiff(second, min(trx_started), convert_tz(utc_timestamp(), '+00:00', 'SYSTEM')) as age
            from information_schema.innodb_trx where trx_rows_modified > 0
        """)
        return datetime.now(UTC) - timedelta(seconds=int(rows[0][0])) if rows and rows[0][0] is not None else None

    def hash_of(self, columns: list[Column]) -> tuple[str, str]:
        """See `Engine.hash_of`."""
        texts = ", ".join(f"convert({self.quote(column.name)} using utf8mb4)" for column in columns)
        digest = f"md5(concat_ws(char(31 using utf8mb4), {texts}))"
        bucket, number = (f"conv(substr({digest}, {a}, {n}), 16, 10)" for a, n in ((1, 3), (4, 8)))
        return self.integer(bucket), self.integer(number)


def _column(name, data_type, declared, collation, precision, scale, is_nullable, comment, extra) -> Column:
    common = {"name": name, "declared": declared, "is_nullable": is_nullable == "YES", "comment": comment or ""}
    if data_type == "bigint" and "unsigned" in declared:
        return Column(**common, type="DECIMAL(20,0)", arrives="UBIGINT")
    if data_type == "decimal":
        if precision <= 38:
            return Column(**common, type=f"DECIMAL({precision},{scale})", reads="cast({} as char)")
        note = f"{name} is {declared}, wider than any decimal of ours: it lands as text, so that no digit is lost"
        return Column(**common, type="VARCHAR", reads="cast({} as char)", note=note)
    if data_type in _TYPES:
        reads, arrives, lands = _TYPES[data_type]
        if (collation or "").endswith("_bin"):  # which the scanner takes for bytes; MariaDB's json is such a text
            reads = "convert({} using utf8mb4)"
        return Column(**common, type=lands, arrives=arrives, reads=reads.replace("{bits}", str(precision)))
    note = f"{name} is of the type {declared}, which has no mapping: it lands as text"
    return Column(**common, type="VARCHAR", reads="cast({} as char)", note=note)
