"""Holds requests and answers against a vendor's official specification (OpenAPI 3.0).

The files lie in the folder that the environment variable SPECIFICATIONS names; without it such tests are skipped.
"""

import gzip
import json
import os
import re
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft4Validator

FOLDER = "SPECIFICATIONS"
CASTS = {"integer": int, "number": float, "boolean": {"true": True, "false": False}.__getitem__}


def specification(name: str) -> "Specification":
    """The specification in the file `name`, or skips the test."""
    folder = os.environ.get(FOLDER)
    if not folder:
        pytest.skip(f"set {FOLDER} to the folder of the vendors' specifications to test against {name}")
    return _read(Path(folder) / name)


@cache
def _read(path: Path) -> "Specification":
    content = path.read_bytes()
    return Specification(json.loads(gzip.decompress(content) if path.suffix == ".gz" else content))


class Specification:
    """What a vendor says of its API. A field or parameter that it does not mention is a problem, too."""

    def __init__(self, document: dict) -> None:
        self.base = urlsplit(document["servers"][0]["url"]).path.rstrip("/")
        self.document = document
        named_first = sorted(document["paths"].items(), key=lambda item: item[0].count("{"))
        self.paths = {re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)): methods for path, methods in named_first}
        self.components = _strict(document.get("components", {}))

    def request(self, method: str, path: str, query: dict[str, str], body: Any = None) -> list[str]:
        """What is wrong with a request."""
        operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path}: not in the specification"]
        parameters = [self._resolve(parameter) for parameter in operation.get("parameters", [])]
        declared = {parameter["name"]: parameter for parameter in parameters if parameter["in"] == "query"}
        problems = [f"{name}: no parameter of {method} {path}" for name in query.keys() - declared.keys()]
        for name, parameter in declared.items():
            if name in query:
                problems += self._check(parameter["schema"], _cast(parameter["schema"], query[name]), name)
            elif parameter.get("required"):
                problems.append(f"{name}: missing")
        if "requestBody" in operation:
            content = self._resolve(operation["requestBody"])["content"]
            problems += self._check(content["application/json"]["schema"], body, "body")
        elif body is not None:
            problems.append(f"body: {method} {path} takes none")
        return problems

    def answer(self, method: str, path: str, status: int, content_type: str, body: Any) -> list[str]:
        """What is wrong with an answer."""
        operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path}: not in the specification"]
        responses = operation["responses"]
        response = self._resolve(responses.get(str(status)) or responses["default"])
        media_type = content_type.partition(";")[0]
        if media_type not in response["content"]:
            return [f"{content_type}: no content type of {status}"]
        return self._check(response["content"][media_type]["schema"], body, "answer")

    def _operation(self, method: str, path: str) -> dict | None:
        path = path.removeprefix(self.base)
        return next((found.get(method.lower()) for known, found in self.paths.items() if known.fullmatch(path)), None)

    def _resolve(self, part: dict) -> dict:
        while "$ref" in part:
            part = reduce(getitem, part["$ref"].removeprefix("#/").split("/"), self.document)
        return part

    def _check(self, schema: dict, value: Any, where: str) -> list[str]:
        validator = Draft4Validator({**_strict(schema), "components": self.components})
        return [
            f"{'.'.join([where, *map(str, error.absolute_path)])}: {error.message[:200]}"
            for error in validator.iter_errors(value)
        ]


def _cast(schema: dict, text: str) -> Any:
    """A parameter's text as the type that the schema has; as it is if it is no such thing, for the schema to say so."""
    if schema.get("type") == "array":
        return text.split(",")
    try:
        return CASTS.get(schema.get("type"), str)(text)
    except (ValueError, KeyError):
        return text


def _strict(schema: Any) -> Any:
    """The schema, with no properties besides those that it names, unless it says otherwise."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: _strict(part) for name, part in schema.items() if name != "properties"}
    if "properties" in schema:
        strict["properties"] = {name: _strict(part) for name, part in schema["properties"].items()}
        strict.setdefault("additionalProperties", False)
    return strict
