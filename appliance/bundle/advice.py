"""What looks like a mistake in a bundle but may be meant: shown, never refused."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.dscp import STRATEGIES, mismatch, plain
from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.emergency import doubts
from appliance.bundle.rules.ways import dead_ends


def warnings(bundle: Bundle) -> list[Problem]:
    """Return everything an admin should look at once."""
    return [
        *_code_points(bundle),
        *_forwarding_to_oneself(bundle),
        *_hidden(bundle),
        *_hashes(bundle),
        *dead_ends(bundle),
        *doubts(bundle),
    ]


def _code_points(bundle: Bundle) -> Iterator[Problem]:
    strategy = bundle.policies.dscp_strategy
    known = {plain(row.traffic): row.traffic for row in STRATEGIES[strategy]}
    for index, queue in enumerate(bundle.dscp):
        path, text = f"dscp[{index}]", mismatch(queue)
        if text:
            yield Problem(path, text)
        if plain(queue.traffic) not in known:
            text = f"`{queue.traffic}` marks nothing; the {strategy} strategy has: "
            yield Problem(f"{path}.traffic", text + ", ".join(known.values()))


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
