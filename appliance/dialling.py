"""Try what dialled digits would do, in the house or outside, without a call."""

from __future__ import annotations

from appliance.bundle import User
from appliance.errors import LocalError
from appliance.pbx.dialplan import Emergency, Nowhere, ToGroup, ToUser
from appliance.premises import Premises
from sbc_bridge.explain import Explained, explain


def dial(site: Premises, extension: str, dialled: str) -> Explained:
    """Return what the user with an extension would meet; raises LocalError where there is none."""
    user = site.directory.by_extension(extension)
    if user is None:
        raise LocalError(f"there is no user with the extension {extension[:40]!r}")
    return _told(site, user, dialled)


def _told(site: Premises, user: User, dialled: str) -> Explained:
    destination = site.dialplan.find(dialled)
    if isinstance(destination, Nowhere):
        found = explain(site.bundle, user, dialled)
        inside = site.dialplan.find(found.number) if found.number else destination
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
