"""Try what dialled digits would do, in the house or outside, without a call."""

from __future__ import annotations

from appliance.bundle import Bundle, User
from appliance.errors import LocalError
from appliance.pbx.dialplan import DialPlan, Emergency, Nowhere, ToGroup, ToUser
from appliance.pbx.directory import Directory
from sbc_bridge.explain import Explained, explain


def dial(bundle: Bundle, extension: str, dialled: str) -> Explained:
    """Return what the user with an extension would meet; raises LocalError where there is none."""
    directory = Directory(bundle)
    user = directory.by_extension(extension)
    if user is None:
        raise LocalError(f"there is no user with the extension {extension[:40]!r}")
    return told(bundle, directory, user, dialled)


def told(bundle: Bundle, directory: Directory, user: User, dialled: str) -> Explained:
    """Return what a user who dials this would meet."""
    destination = DialPlan(bundle, directory).find(dialled)
    if isinstance(destination, Nowhere):
        found = explain(bundle, user, dialled)
        inside = DialPlan(bundle, directory).find(found.number) if found.number else destination
        if not isinstance(inside, ToUser | ToGroup):
            return found
        return _here(_place(inside), found.lines)
    if isinstance(destination, ToUser | ToGroup):
        return _here(_place(destination), ())
    if isinstance(destination, Emergency):
        return _here(f"calls for help: {dialled}; see `holdfast emergency`", ())
    return _here(f"{dialled} is a code of the house", ())


def _place(destination: ToUser | ToGroup) -> str:
    if isinstance(destination, ToUser):
        return f"rings {destination.user.name} ({destination.user.extension}) here"
    return f"goes to the group {destination.group.name} ({destination.group.extension}) here"


def _here(text: str, before: tuple[str, ...]) -> Explained:
    return Explained((*before, text), "", "here", "", (), "")
