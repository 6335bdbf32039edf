"""What words of commands may be, and what is said of those that may not."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from appliance.cli.arguments import amount, check_words, identifier, new_file, unix_time, whole
from appliance.cli.command import main
from appliance.errors import LocalError


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("600", 600), ("007", 7)])
def test_whole_numbers_within_their_bounds(text: str, number: int) -> None:
    assert whole(1, 600)(text) == number


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "601", "1.5", "x", "1_0", " 1", "٣", "--1", "\0", "9" * 5000]
)
def test_any_other_is_refused_with_its_bounds(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="write a whole number, 1 to 600, not ") as refused:
        whole(1, 600)(text)
    assert len(str(refused.value)) < 100
    with pytest.raises(ArgumentTypeError, match="1 or more"):
        whole(1)("0")


def test_a_time_is_one_that_dates_have() -> None:
    assert (unix_time("0"), unix_time("1700000000.5")) == (0.0, 1700000000.5)
    for text in ("", "x", "nan", "inf", "-1", "1e20", "1e400"):
        with pytest.raises(ArgumentTypeError, match="write Unix seconds"):
            unix_time(text)


def test_an_amount_is_above_zero_and_finite() -> None:
    assert (amount(480)("0.5"), amount(480)("480")) == (0.5, 480.0)
    for text in ("", "x", "nan", "inf", "-1", "0", "480.1", "1e400"):
        with pytest.raises(ArgumentTypeError, match="above 0, up to 480, not"):
            amount(480)(text)


def test_an_id_is_there_and_short() -> None:
    assert identifier("é") == "é"
    for text in ("", "x" * 257):
        with pytest.raises(ArgumentTypeError, match="1 to 256 characters"):
            identifier(text)


def test_a_new_file_has_a_place_and_takes_nobodys(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert new_file(str(tmp_path / "é.pcapng")) == tmp_path / "é.pcapng"
    assert list(tmp_path.glob("é*")) == [], "nothing is made by asking"
    for name, text in {
        "there": "is there already",
        "dangling": "is there already",
        ".": "is there already",
        "no/such": "there is no folder",
        "there/below": "there is no folder",
        "x" * 5000: "File name too long",
        "x" * 300 + "/y": "File name too long",
    }.items():
        with pytest.raises(ArgumentTypeError, match=text):
            new_file(str(tmp_path / name))
    with pytest.raises(ArgumentTypeError, match="write the name"):
        new_file("")


@pytest.mark.parametrize(("word", "text"), [("caf\udce9", "not UTF-8"), ("a\0b", "zero octet")])
def test_what_nothing_could_carry_is_refused_at_once(
    word: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(LocalError, match=text):
        check_words(["calls", word])
    for words in (["calls", word], ["capture", "begin", "--host", word], ["--data", word, "mode"]):
        assert main(words) == 2
        assert text in capsys.readouterr().err


def test_without_a_keyboard_a_secret_is_asked_for_in_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def ended(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", ended)
    assert main(["--data", str(tmp_path), "backup", str(tmp_path / "new")]) == 2
    assert "give it in a file" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_told_in_words(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    token, phrase = tmp_path / "admin.token", tmp_path / "phrase"
    token.mkdir()
    phrase.write_bytes(b"\xff\n")
    assert main(["--data", str(tmp_path), "mode"]) == 2
    assert f"{token} cannot be read: Is a directory; use its owner" in capsys.readouterr().err
    words = ["backup", str(tmp_path / "new"), "--passphrase-file"]
    for file, why in ((token, "Is a directory"), (phrase, "it is not UTF-8")):
        assert main(["--data", str(tmp_path), *words, str(file)]) == 2
        assert f"{file} cannot be read: {why}\n" in capsys.readouterr().err
