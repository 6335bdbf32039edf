"""Read a bundle, or say everything that is wrong with it."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from appliance.bundle.parts import Bundle
from appliance.bundle.problem import PROBLEM_LIMIT, BundleError, Problem
from appliance.bundle.rules import RULES
from appliance.bundle.seal import opened
from appliance.bundle.shape import fit

BUNDLE_LIMIT = 64 << 20
"""Bytes; a site of 10,000 users and 50,000 contacts is about 10 MB."""

_decoder = msgspec.json.Decoder(Bundle)


def decode(data: bytes) -> Bundle:
    """Return the bundle that `data` is, in JSON; a signature before it is passed over.

    Raises BundleError with every problem found: wrong shapes first, then contradictions.
    """
    _, data = opened(data)
    if len(data) > BUNDLE_LIMIT:
        _refuse(f"{len(data):,} bytes; {BUNDLE_LIMIT:,} is the limit, so leave contacts out")
    try:
        bundle = _decoder.decode(data)
    except msgspec.ValidationError as error:
        # A key that stands twice is refused by its first value, which the plain reading drops.
        text = "".join(c if c.isprintable() else "?" for c in str(error))
        problems = _problems_of(_plain(data)) or [Problem("", f"{text}; is a key there twice?")]
        raise BundleError(problems) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(_unreadable(data, error))
    if problems := _contradictions(bundle):
        raise BundleError(problems)
    return bundle


def decode_again(data: bytes) -> Bundle:
    """Return a bundle that has been found good before, in half the time; raises BundleError."""
    try:
        return _decoder.decode(opened(data)[1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(_unreadable(data, error))


def _problems_of(plain: Any) -> list[Problem]:
    if not isinstance(plain, dict):
        return [Problem("", "not a bundle: a JSON object with `version`, `site` ... is expected")]
    problems: list[Problem] = []
    salvaged: Bundle = fit(plain, Bundle, "", problems)
    at = {problem.path for problem in problems}
    above = {path for problem in problems for path in _ancestors(problem.path)}
    for problem in _contradictions(salvaged):
        if problem.path not in above and at.isdisjoint([problem.path, *_ancestors(problem.path)]):
            problems.append(problem)
    return problems[:PROBLEM_LIMIT]


def _contradictions(bundle: Bundle) -> list[Problem]:
    return [problem for rule in RULES for problem in rule(bundle)][:PROBLEM_LIMIT]


def _ancestors(path: str) -> list[str]:
    """Return the paths above one, nearest first: `a[0].b` gives `a[0]` and `a`."""
    paths = []
    while (cut := max(path.rfind("."), path.rfind("["))) > 0:
        path = path[:cut]
        paths.append(path)
    return paths


def _plain(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        _refuse(_unreadable(data, error))


def _unreadable(data: bytes, error: Exception) -> str:
    if not data.strip():
        return "the file is empty; make it again"
    if isinstance(error, RecursionError):
        return "nested too deep to be a bundle; make it again"
    if "truncated" in str(error):
        return "the file ends too early; fetch it again"
    return f"not JSON: {error}; make it again"


def _refuse(text: str) -> NoReturn:
    raise BundleError([Problem("", text)]) from None
