"""`holdfast completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from appliance.cli.options import OK, new_parser
from appliance.cli.tree import commands_of, options_of, whole_parser

HEAD = """\
# bash completion of holdfast; zsh takes it after `autoload -U bashcompinit && bashcompinit`.
_holdfast() {
    local path="" further index
    for ((index = 1; index < COMP_CWORD; index++)); do
        further="$path ${COMP_WORDS[index]}"
        [[ -z "$(_holdfast_choices "${further# }")" ]] || path="$further"
    done
    COMPREPLY=($(compgen -W "$(_holdfast_choices "${path# }")" -- "${COMP_WORDS[COMP_CWORD]}"))
}
_holdfast_choices() {
    case "$1" in
"""
TAIL = """\
    esac
}
complete -o default -F _holdfast holdfast
"""


def add_parser(subparsers: Any) -> None:
    """Add `completion`."""
    about = "print what bash needs to complete commands; put it into /etc/bash_completion.d"
    parser = new_parser(subparsers, "completion", about)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    print(HEAD + "".join(_cases("", whole_parser())) + TAIL, end="")
    return OK


def _cases(path: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    below = commands_of(parser)
    choices = [*below, *(name for option in options_of(parser) for name in option.option_strings)]
    yield f'        "{path}") echo "{" ".join(choices)}" ;;\n'
    for name, command in below.items():
        yield from _cases(f"{path} {name}".strip(), command)
