"""`holdfast manual`: the man page, written from the commands themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from appliance import __version__
from appliance.cli.options import EXIT_STATUS, OK, new_parser
from appliance.cli.tree import abouts_of, arguments_of, commands_of, options_of, whole_parser

FAMILIAR = frozenset({"--help", "--settings", "--data", "--run", "--json"})
"""Options that every command has: they are told once."""


def add_parser(subparsers: Any) -> None:
    """Add `manual`."""
    about = "print the man page: `holdfast manual | man -l -`"
    new_parser(subparsers, "manual", about).set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the page."""
    print("\n".join(_page(whole_parser())))
    return OK


def _page(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f'.TH HOLDFAST 1 "" "Holdfast {__version__}" "Holdfast"'
    yield from (".SH NAME", r"holdfast \- voice survivability appliance")
    yield from (".SH SYNOPSIS", r".B holdfast", r"[\fIOPTIONS\fR] \fICOMMAND\fR ...")
    yield from (".SH DESCRIPTION", _plain(parser.description or ""))
    yield ".SH OPTIONS"
    yield from _options(parser, frozenset())
    yield from (".TP", r".B \-\-json", "Print JSON; most commands have it.")
    yield ".SH COMMANDS"
    yield from _commands("holdfast", parser)
    yield from (".SH EXIT STATUS", ".nf", _plain(EXIT_STATUS.partition("\n")[2].rstrip()), ".fi")
    yield from (".SH FILES", ".TP", r".I /etc/holdfast/holdfast.toml", "Settings of this machine.")


def _commands(path: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    abouts = abouts_of(parser)
    for name, command in commands_of(parser).items():
        shown = " ".join(_shown(one) for one in arguments_of(command))
        yield from (".TP", rf".B {_plain(f'{path} {name}')} \fR{_plain(shown)}")
        yield _sentence(abouts.get(name) or command.description or "")
        own = [one for one in options_of(command) if not FAMILIAR & set(one.option_strings)]
        if own:
            yield ".RS"
            yield from _options(command, FAMILIAR)
            yield ".RE"
        yield from _commands(f"{path} {name}", command)


def _options(parser: argparse.ArgumentParser, without: frozenset[str]) -> Iterator[str]:
    for option in options_of(parser):
        if without & set(option.option_strings):
            continue
        value = "" if option.nargs == 0 else rf" \fI{_plain(_name(option))}\fR"
        yield from (".TP", rf".B {_plain(', '.join(option.option_strings))}{value}")
        yield _sentence((option.help or "") % {"default": option.default})


def _shown(argument: argparse.Action) -> str:
    name = _name(argument)
    return f"[{name}]" if argument.nargs in ("?", "*") else name


def _name(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices:
        return "|".join(map(str, action.choices))
    return action.dest.upper()


def _sentence(text: str) -> str:
    return _plain(text[:1].upper() + text[1:].rstrip(".") + ".")


def _plain(text: str) -> str:
    r"""Write text so that troff takes it as it is: no line begins with a dot, \ and - stay."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return "\n".join(
        rf"\&{line}" if line[:1] in (".", "'") else line for line in escaped.split("\n")
    )
