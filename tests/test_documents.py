"""What the documents say exists."""

import importlib
import re
from pathlib import Path

import msgspec
import pytest

from appliance.settings import Settings

ROOT = Path(__file__).parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def exists(dotted: str) -> bool:
    """Import the longest module of a dotted name and look up the rest in it."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def test_every_setting_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", text("docs/settings.md"), re.MULTILINE))
    assert explained == {field.name for field in msgspec.structs.fields(Settings)}


@pytest.mark.parametrize("name", re.findall(r"`(appliance\.[\w.]+)`", text("docs/glossary.md")))
def test_a_name_in_the_glossary_exists(name: str) -> None:
    assert exists(name)


@pytest.mark.parametrize(
    "path", re.findall(r"`(appliance/[\w./]+|tests/[\w/]+)`", text("CONTRIBUTING.md"))
)
def test_a_file_named_for_contributors_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "document",
    [str(file.relative_to(ROOT)) for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]],
)
def test_a_link_leads_somewhere(document: str) -> None:
    file = ROOT / document
    for target in re.findall(r"\]\(([^)#:]+)\)", file.read_text(encoding="utf-8")):
        assert (file.parent / target).exists(), target


def test_every_target_of_make_is_named() -> None:
    for target in ("setup", "demo", "run", "test", "check", "bench", "soak", "fuzz"):
        assert f"\n{target}:" in text("Makefile")
