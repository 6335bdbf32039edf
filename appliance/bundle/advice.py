"""What looks like a mistake in a bundle but may be meant: shown, never refused."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem

CODE_POINTS = {
    "DF": 0,
    "BE": 0,
    "EF": 46,
    "VA": 44,
    "LE": 1,
    **{f"CS{level}": level * 8 for level in range(8)},
    **{f"AF{level}{drop}": level * 8 + drop * 2 for level in (1, 2, 3, 4) for drop in (1, 2, 3)},
}
"""Names of DSCP values (RFC 2474, 2597, 3246, 5865, 8622)."""


def warnings(bundle: Bundle) -> list[Problem]:
    """Return everything an admin should look at once."""
    return [
        *_code_points(bundle),
        *_forwarding_to_oneself(bundle),
        *_hidden(bundle),
        *_hashes(bundle),
    ]


def _code_points(bundle: Bundle) -> Iterator[Problem]:
    for index, queue in enumerate(bundle.dscp):
        path, value = f"dscp[{index}]", CODE_POINTS.get(queue.name.upper())
        if value is None:
            yield Problem(f"{path}.name", f"`{queue.name}` is no name of a DSCP value")
        elif value != queue.value:
            meant = ", ".join(name for name, code in CODE_POINTS.items() if code == queue.value)
            text = f"`{queue.name}` is {value}, not {queue.value}" + (
                f" ({meant})" if meant else ""
            )
            yield Problem(path, text)


def _forwarding_to_oneself(bundle: Bundle) -> Iterator[Problem]:
    for index, user in enumerate(bundle.users):
        ways = user.forwarding
        for field in ("always", "busy", "no_answer", "unreachable"):
            if getattr(ways, field) in (user.extension, *user.aliases):
                text = f"leads back to {user.extension} itself and is ignored"
                yield Problem(f"users[{index}].forwarding.{field}", text)


def _hidden(bundle: Bundle) -> Iterator[Problem]:
    prefix = bundle.number_plan.outside_prefix
    codes = tuple(peer.code for peer in bundle.peers) + ((prefix,) if prefix else ())
    extensions = [(f"users[{index}]", user.extension) for index, user in enumerate(bundle.users)]
    extensions += [
        (f"groups[{index}]", group.extension) for index, group in enumerate(bundle.groups)
    ]
    for path, extension in extensions:
        if codes and extension.startswith(codes):
            text = f"`{extension}` hides what begins with a site code or the outside prefix"
            yield Problem(f"{path}.extension", text)


def _hashes(bundle: Bundle) -> Iterator[Problem]:
    if "SHA-256" not in bundle.policies.digest_algorithms:
        return
    weak = sum(
        credential.sha256 is None for user in bundle.users for credential in user.credentials
    )
    if weak:
        text = f"{weak} credentials have no `sha256`: phones that take SHA-256 cannot register"
        yield Problem("users", text)
