"""Every command with all of its options, for whoever writes them down."""

from __future__ import annotations

import argparse

from appliance.cli import command


def whole_parser() -> argparse.ArgumentParser:
    """Return the command's parser, complete for every family."""
    parser = command.make_parser(None)
    below = commands_of(parser)
    for name in command.FAMILIES:
        below[name] = commands_of(command.make_parser(name))[name]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            action.choices = below
    return parser


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the commands below one, by name; argparse has no public way to them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def abouts_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return what each command below one is for."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {one.dest: one.help or "" for one in action._choices_actions}
    return {}


def options_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the options of a command that are shown."""
    return [
        action
        for action in parser._actions
        if action.option_strings and action.help != argparse.SUPPRESS
    ]


def arguments_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return what a command takes besides options and commands."""
    return [
        action
        for action in parser._actions
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction)
    ]
