"""Find every value of a bundle that has the wrong shape.

msgspec stops at the first one; this walks down to each, only once it is known that there is one,
and puts stand-ins where a value is wrong, so that the rules can look at all the rest.
"""

from __future__ import annotations

import difflib
import json
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from appliance.bundle.problem import PROBLEM_LIMIT, Problem

SECRET_FIELDS = frozenset({"md5", "sha256", "sha512", "password"})
"""A wrong value here may be a password in the wrong place, so it is never shown."""

_STAND_IN = "\x00"


def fit(value: Any, kind: Any, path: str, problems: list[Problem]) -> Any:
    """Convert plain JSON data to `kind`, adding each problem and standing in for what is wrong."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at `")[0]
    bare, below = _bare(kind), get_args(_bare(kind))
    before = len(problems)
    fitted: Any = None
    if _is_part(bare) and isinstance(value, dict):
        fitted = _fit_fields(value, bare, path, problems)
    elif get_origin(bare) is dict and isinstance(value, dict):
        fitted = _fit_entries(value, below[0], below[1], path, problems)
    elif get_origin(bare) is tuple and isinstance(value, list):
        fitted = tuple(
            fit(item, below[0], f"{path}[{index}]", problems) for index, item in enumerate(value)
        )
    if len(problems) == before:
        _note(problems, path, _explain(value, kind, path, reason))
        return _stand_in(bare, path)
    return fitted


def is_sound(text: str) -> bool:
    """Tell a value of the bundle from one that stands in for a wrong one."""
    return not text.startswith(_STAND_IN)


def _fit_fields(
    value: dict[Any, Any], kind: type[msgspec.Struct], path: str, problems: list[Problem]
) -> Any:
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    made = {}
    for name, field in known.items():
        below = f"{path}.{name}" if path else name
        if name in value:
            fitted = fit(value[name], field.type, below, problems)
            if fitted is not None or field.required:
                made[field.name] = fitted
        elif field.required:
            _note(problems, below, f"missing; {_advice(field.type) or 'add it'}")
            made[field.name] = _stand_in(_bare(field.type), below)
    for key in sorted(value.keys() - known.keys()):
        _note(problems, f"{path}.{key}"[:200].lstrip("."), _unknown_key(key, list(known)))
    return kind(**made)


def _fit_entries(
    value: dict[Any, Any], key_kind: Any, kind: Any, path: str, problems: list[Problem]
) -> Any:
    return {
        fit(key, key_kind, path, problems): fit(item, kind, f"{path}.{key}"[:200], problems)
        for key, item in value.items()
    }


def _stand_in(kind: Any, path: str) -> Any:
    """Return a value that contradicts nothing; texts are unique, as ids have to be."""
    if _is_part(kind):
        fields = [field for field in msgspec.structs.fields(kind) if field.required]
        return kind(**{f.name: _stand_in(_bare(f.type), f"{path}.{f.name}") for f in fields})
    if get_origin(kind) is tuple:
        return ()
    if get_origin(kind) is dict:
        return {}
    return f"{_STAND_IN}{path}" if kind is str or get_origin(kind) is Literal else None


def _bare(kind: Any) -> Any:
    """Strip `Annotated` and `| None`."""
    if hasattr(kind, "__metadata__"):
        return _bare(kind.__origin__)
    options = [option for option in get_args(kind) if option is not type(None)]
    optional = len(options) == 1 and len(get_args(kind)) == 2 and get_origin(kind) is not tuple
    return _bare(options[0]) if optional else kind


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _note(problems: list[Problem], path: str, text: str) -> None:
    if len(problems) < PROBLEM_LIMIT:
        # Keys come from outside, and problems are logged.
        shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in path)
        problems.append(Problem(shown, text))


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key[:64], known, n=1)
    return f"no such key; did you mean `{near[0]}`?" if near else "no such key; remove it"


def _advice(kind: Any) -> str:
    """Return what a value of this kind has to be, in words, or nothing."""
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.description:
            return f"write {meta.description}"
    for option in (getattr(kind, "__origin__", None), *get_args(kind)):
        if option is not None and option is not kind and (found := _advice(option)):
            return found
    return ""


def _explain(value: Any, kind: Any, path: str, reason: str) -> str:
    advice = _advice(kind)
    if value == "" and advice:
        return f"empty; {advice}"
    name = path.rpartition(".")[2]
    shown = "the value" if name in SECRET_FIELDS else _shown(value)
    return f"{shown} does not fit; {advice}" if advice else f"{shown} does not fit: {reason}"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."
