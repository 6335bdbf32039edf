"""The bundle's JSON Schema, for those who make bundles."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import msgspec

from appliance.bundle import parts
from appliance.bundle.parts import Bundle


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a bundle, each key with its description."""
    made = msgspec.json.schema(Bundle)
    texts = _field_texts()
    for name, definition in made["$defs"].items():
        for key, text in texts.get(name, {}).items():
            definition["properties"][key]["description"] = text
    title = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Holdfast site bundle",
    }
    return title | made


def _field_texts() -> dict[str, dict[str, str]]:
    """Read the string under each field; Python keeps it in the source only."""
    texts: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(parts)).body:
        if isinstance(node, ast.ClassDef):
            texts[node.name] = dict(_texts_under_fields(node))
    return texts


def _texts_under_fields(node: ast.ClassDef) -> list[tuple[str, str]]:
    return [
        (field.target.id, inspect.cleandoc(text.value.value))
        for field, text in zip(node.body, node.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    ]
