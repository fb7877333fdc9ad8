"""What SQL can't do, done once per distinct input at the end of a run, and kept in raw_enrichments.

A contract's field names the method (`field(..., enrich="email_domain")`). The result is looked up by the md5 of
the input, the method and its version: a new version of a method runs over all inputs again, beside the old one.

The sentiment of a text takes the name of the field that says its language, and its input is the text as it landed:

    text: str = field("What was written.", enrich="text_sentiment", language="langs")
    content: str = field("What was written, in HTML.", enrich="html_sentiment", language="language")

Only texts whose declared languages are all English are scored. A model joins int_text_sentiments__scored, on the md5 of
the same column, the method, and macro is_english of the language: the same text may also be there in another language.
"""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dlt
import idna
import pyarrow as pa

from ingestion import sentiment
from ingestion.contract import contract, field, quote
from ingestion.reading import resources
from ingestion.stream import Event, Page, Run, Stream, Window
from ingestion.systems import System

NAME = "enrichments"
PAGE_ROWS = 10_000


@dataclasses.dataclass(frozen=True)
class Method:
    """`inputs`: SQL that takes the input out of a {column}, null where there is nothing to do; {language} is the column
    that says its language. `compute`: input -> output, None where there is none."""

    version: str
    inputs: str
    compute: Callable[[str], str | None]


def ascii_domain(domain: str) -> str | None:
    """An e-mail domain as DNS has it (IDNA 2008 after UTS 46 mapping): bücher.de -> xn--bcher-kva.de."""
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return None


# One language, or a JSON array of them, each with or without a region. Macro is_english says the same.
ENGLISH = """case when regexp_full_match(lower({language}), '[^a-z]*en(-[a-z0-9]+)*([^a-z-]+en(-[a-z0-9]+)*)*[^a-z]*')
    then {column} end"""

METHODS = {
    "email_domain": Method(
        version="1",
        inputs="""case when {column} similar to '.*@.*[^ -~].*' then lower(trim(split_part({column}, '@', 2))) end""",
        compute=ascii_domain,
    ),
    "text_sentiment": Method(version=sentiment.VERSION, inputs=ENGLISH, compute=sentiment.text_score),
    "html_sentiment": Method(version=sentiment.VERSION, inputs=ENGLISH, compute=sentiment.html_score),
}


@contract
class Enrichments:
    """What one version of a method made of one distinct input."""

    input_hash: str = field("md5 of the input.", key=True)
    method: str = field("Name of the method.", key=True)
    method_version: str = field("Version of the method.", key=True)
    input: str = field("The text that the method was given.")
    output: str | None = field("What it made of it; null where it could make nothing.")


STREAM = Stream("enrichments", Enrichments, Event())


def new_inputs_query(systems: list[System]) -> str | None:
    """SQL for the (method, method_version, input) of all systems' declared fields that are not enriched yet."""
    parts = [
        f"select '{f.enrich}' as method, '{METHODS[f.enrich].version}' as method_version, "
        f"{METHODS[f.enrich].inputs.format(column=quote(f.name), language=quote(f.language))} as input "
        f"from raw_{system.name}.{stream.name}"
        for system in systems
        if not system.has_catalog
        for stream in system.streams
        for f in stream.contract.fields
        if f.enrich
    ]
    if not parts:
        return None
    return f"""
        with inputs as ({" union all ".join(parts)})
        select distinct inputs.*, md5(input) as input_hash from inputs
        anti join raw_{NAME}.{STREAM.name} as done
            on done.input_hash = md5(inputs.input) and done.method = inputs.method
                and done.method_version = inputs.method_version
        where input is not null order by all
    """


class Reader:
    """Reads by computing: `inputs` has the rows of `new_inputs_query`."""

    def __init__(self, inputs: list[dict[str, Any]]) -> None:
        self.inputs = inputs

    def read(self, stream: Stream, window: Window) -> Iterator[Page]:
        """Yields the inputs with their outputs."""
        for start in range(0, len(self.inputs), PAGE_ROWS):
            rows = self.inputs[start : start + PAGE_ROWS]
            rows = [{**row, "output": METHODS[row["method"]].compute(row["input"])} for row in rows]
            columns = {f.name: pa.array([row[f.name] for row in rows], pa.string()) for f in stream.contract.fields}
            yield Page(pa.table(columns), datetime.now(UTC))

    def check(self, stream: Stream) -> str:
        """How much there is to do."""
        return f"{len(self.inputs):,} inputs"

    def close(self) -> None:
        """Nothing is held open."""


@dlt.source(name=NAME)
def enrichments(inputs: list[dict[str, Any]], run: Run | None = None):
    """The outputs of new inputs."""
    return resources([STREAM], Reader(inputs), run)


SYSTEM = System(NAME, "What SQL can't do, computed from what has landed.", [STREAM], enrichments, Reader, options={})
"""Not among `systems.all_systems`: it has no source to configure, and runs after all others."""
