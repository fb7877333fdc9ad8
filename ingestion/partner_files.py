"""Orders that resellers report: a folder with one sub-folder of monthly CSV files per reseller."""

import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dlt
import duckdb
import pyarrow as pa

from ingestion import contract as contracts
from ingestion.contract import Money, contract, field, missing_columns, quote
from ingestion.errors import SourceError, explain
from ingestion.files import Dialect, fingerprint, read_csv
from ingestion.reading import resources
from ingestion.stream import Event, Page, Run, Stream, Window


@contract
class OrderLines:
    """One line of an order that a reseller took."""

    reseller: str = field("Reseller, named by the folder the file lies in.", key=True)
    order_number: str = field("The reseller's own number of the order.", key=True)
    line_number: int = field("Number of the line within the order.", key=True)
    ordered_on: date = field("Day of the order, in the reseller's time zone.")
    customer_email: str | None = field("E-mail address of the buyer.", enrich="email_domain")
    customer_name: str | None = field("Name of the buyer.")
    country: str | None = field("Country of the buyer: a code or a name.")
    sku: str = field("Our stock keeping unit.")
    product_name: str | None = field("Product as the reseller names it.")
    quantity: int = field("Units sold.")
    unit_price: Money = field("Price of one unit, without tax.")
    currency: str = field("Currency of all amounts of the line (ISO 4217).")
    tax_amount: Money = field("Tax on the line.")
    shipping_amount: Money = field("Shipping charged with the line.")


STREAMS = [Stream("order_lines", OrderLines, Event(), source="<reseller>/orders_*.csv")]


class Reader:
    """Reads <folder>/<reseller>/orders_*.csv; <folder>/resellers.toml declares each reseller's dialect."""

    def __init__(self, folder: str) -> None:
        self.folder, self.db = Path(folder), contracts.engine()

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields a page per file that is new or has changed; one bad file does not stop the others."""
        files, dialects, failures = self._files(), self._dialects(), []
        done = window.state.setdefault("files", {})
        for path in files:
            name, observed_at = str(path.relative_to(self.folder)), datetime.now(UTC)
            try:
                mark = fingerprint(path)
                if done.get(name) == mark:
                    continue
                reseller = path.parent.name
                if reseller not in dialects:
                    raise SourceError(f"add a section [{reseller}] to resellers.toml")
                rows, rejected = read_csv(path, name, dialects[reseller])
                rows = _translate(self.db, rows, dialects[reseller], reseller)
                missing_columns(stream.contract, rows.column_names)
            except Exception as error:  # whatever it is, the other files are read
                failures.append(f"{name}: {explain(error)}")
                continue
            yield Page(rows, observed_at, rejected)
            done[name] = mark
        if failures:
            raise SourceError(f"{len(failures)} files could not be read: {'; '.join(failures)}")

    def check(self, stream: Stream) -> str:
        """How many files there are; raises SourceError if the folder or its declaration is not there."""
        return f"{len(self._files()):,} files of {len(self._dialects())} resellers"

    def close(self) -> None:
        """Closes the engine that translates."""
        self.db.close()

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            raise SourceError(f"there is no folder {self.folder}: correct SOURCES__PARTNER_FILES__FOLDER")
        return sorted(self.folder.glob("*/orders_*.csv"))

    def _dialects(self) -> dict[str, Dialect]:
        declared = self.folder / "resellers.toml"
        try:
            tables = tomllib.loads(declared.read_text())
            return {reseller: Dialect(**options) for reseller, options in tables.items()}
        except FileNotFoundError:
            raise SourceError(f"{declared} is missing: it declares each reseller's delimiter, encoding, ...") from None
        except (tomllib.TOMLDecodeError, TypeError) as error:
            raise SourceError(f"{declared}: {error}") from error


def _translate(db: duckdb.DuckDBPyConnection, rows: pa.Table, dialect: Dialect, reseller: str) -> pa.Table:
    """Numbers and dates from the dialect into the contract's form; what does not fit stays as it is, and the
    contract rejects it."""
    expressions = {name: quote(name) for name in rows.column_names}
    for f in OrderLines.fields:
        if f.name in expressions and f.type == "DATE":
            parsed = f"try_strptime({quote(f.name)}, '{dialect.date_format}')"
            expressions[f.name] = f"coalesce(strftime({parsed}, '%Y-%m-%d'), {quote(f.name)})"
        elif f.name in expressions and f.type.startswith("DECIMAL") and dialect.decimal == ",":
            # Only dots before three digits divide thousands; 12.50 becomes 12,50, which the contract rejects.
            plain = rf"regexp_replace({quote(f.name)}, '\.(\d{{3}})\b', '\1', 'g')"
            expressions[f.name] = f"translate({plain}, '.,', ',.')"
    select = ", ".join(f"{expression} as {quote(name)}" for name, expression in expressions.items())
    with contracts.registered(db, rows=rows):
        return db.execute(f"select ? as reseller, {select} from rows", [reseller]).to_arrow_table()


@dlt.source
def partner_files(folder: str = dlt.config.value, run: Run | None = None):
    """The resellers' order lines.

    `folder` holds one sub-folder per reseller and resellers.toml, which declares how each writes its files.
    """
    return resources(STREAMS, Reader(folder), run)
