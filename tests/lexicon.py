"""Holds requests and answers against the AT Protocol's lexicons, the official ones of Bluesky's API.

They lie in atproto_lexicons.tar.gz, in the folder that the environment variable SPECIFICATIONS names; without it such
tests are skipped. https://atproto.com/specs/lexicon says what a lexicon means.
"""

import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.specification import FOLDER

_DID = r"did:[a-z]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._-]"
_HANDLE = r"([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
FORMATS = {
    "did": _DID,
    "handle": _HANDLE,
    "at-identifier": f"{_DID}|{_HANDLE}",
    "at-uri": rf"at://({_DID}|{_HANDLE})(/[a-zA-Z0-9.-]+(/[A-Za-z0-9._~:-]+)?)?",
    "cid": r"b[a-z2-7]{58}",
    "language": r"[a-z]{2,3}(-[A-Za-z0-9]+)*",
    "uri": r"[a-z][a-z.-]{0,80}:\S+",
    "datetime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
}
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


def lexicons() -> "Lexicons":
    """All lexicons, or skips the test."""
    folder = os.environ.get(FOLDER)
    if not folder:
        pytest.skip(f"set {FOLDER} to the folder of the vendors' specifications to test against the lexicons")
    return _read(Path(folder) / "atproto_lexicons.tar.gz")


@cache
def _read(path: Path) -> "Lexicons":
    with tarfile.open(path) as archive:
        files = [archive.extractfile(member).read() for member in archive if member.name.endswith(".json")]
    return Lexicons([json.loads(file) for file in files])


class Lexicons:
    """What the lexicons say, by their ids. A member that they do not name is a problem, too."""

    def __init__(self, documents: list[dict]) -> None:
        self.definitions = {
            f"{document['id']}#{name}": definition
            for document in documents
            for name, definition in document["defs"].items()
        }

    def request(self, method: str, query: list[tuple[str, str]]) -> list[str]:
        """What is wrong with the parameters of a query, given as pairs."""
        parameters = self.definitions[f"{method}#main"]["parameters"]
        asked: dict[str, Any] = {}
        for name, text in query:
            declared = parameters["properties"].get(name, {})
            kind = declared.get("items", declared).get("type")
            value = int(text) if kind == "integer" else text
            if declared.get("type") == "array":
                asked.setdefault(name, []).append(value)
            else:
                asked[name] = value
        return list(self._object(parameters, asked, method, "query"))

    def input(self, method: str, body: Any) -> list[str]:
        """What is wrong with the body of a procedure; None for no body."""
        declared = self.definitions[f"{method}#main"].get("input")
        if declared is None or body is None:
            return (
                [] if declared is None and body is None else [f"{method}: a body is missing, or there should be none"]
            )
        return list(self.problems(declared["schema"], body, method, "input"))

    def answer(self, method: str, body: Any) -> list[str]:
        """What is wrong with an answer."""
        return list(self.problems(self.definitions[f"{method}#main"]["output"]["schema"], body, method, "answer"))

    def problems(self, schema: dict, value: Any, document: str, where: str) -> Iterator[str]:
        """What is wrong with a value; `document` is what relative references are of."""
        checks: dict[str, Callable] = {
            "ref": self._reference,
            "union": self._union,
            "unknown": self._record,
            "object": self._object,
            "array": self._array,
        }
        kind = schema["type"]
        if kind in TYPES and (not isinstance(value, TYPES[kind]) or (kind == "integer" and value is True)):
            yield f"{where}: {value!r:.80} is no {kind}"
        elif kind in checks:
            yield from checks[kind](schema, value, document, where)
        elif kind == "string":
            yield from _text(schema, value, where)
        elif kind == "integer" and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield f"{where}: {value} is too small or too large"

    def _reference(self, schema: dict, value: Any, document: str, where: str) -> Iterator[str]:
        name = schema["ref"]
        name = f"{document}{name}" if name.startswith("#") else name if "#" in name else f"{name}#main"
        yield from self.problems(self.definitions[name], value, name.partition("#")[0], where)

    def _union(self, schema: dict, value: Any, document: str, where: str) -> Iterator[str]:
        """Of the type that the value names; unions are open, so that it may be one that nobody knows."""
        if not isinstance(value, dict) or "$type" not in value:
            yield f"{where}: a member of a union has no $type"
            return
        names = {(f"{document}{name}" if name.startswith("#") else name): name for name in schema["refs"]}
        if value["$type"] in names:
            yield from self._reference({"ref": names[value["$type"]]}, value, document, where)

    def _record(self, schema: dict, value: Any, document: str, where: str) -> Iterator[str]:
        definition = self.definitions.get(f"{value.get('$type')}#main", {})
        if definition.get("type") == "record":
            yield from self.problems(definition["record"], value, value["$type"], where)

    def _object(self, schema: dict, value: Any, document: str, where: str) -> Iterator[str]:
        properties = schema.get("properties", {})
        yield from (f"{where}: no {name}" for name in schema.get("required", []) if name not in value)
        yield from (f"{where}: unknown {name}" for name in value.keys() - properties.keys() - {"$type"})
        for name in value.keys() & properties.keys():
            yield from self.problems(properties[name], value[name], document, f"{where}.{name}")

    def _array(self, schema: dict, value: Any, document: str, where: str) -> Iterator[str]:
        if len(value) > schema.get("maxLength", len(value)):
            yield f"{where}: {len(value)} elements are too many"
        for number, item in enumerate(value):
            yield from self.problems(schema["items"], item, document, f"{where}[{number}]")


def _text(schema: dict, value: str, where: str) -> Iterator[str]:
    kind = schema.get("format")
    if kind in FORMATS and not re.fullmatch(FORMATS[kind], value):
        yield f"{where}: {value!r:.80} is no {kind}"
    elif kind == "datetime":
        datetime.fromisoformat(value)
    if len(value.encode()) > schema.get("maxLength", float("inf")):
        yield f"{where}: {len(value.encode())} bytes are too many"
