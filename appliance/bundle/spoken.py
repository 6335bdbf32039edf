"""What has to be said about a site's people and places in an emergency, to be spoken beforehand."""

from __future__ import annotations

from appliance.bundle.emergency_parts import Location
from appliance.bundle.parts import Bundle

USERS_LIMIT = 2000
"""Names made ready, some three minutes of work once; of further users the extension is said."""


def user_sound(id: str) -> str:
    """Return the name of the sound that says who a user is; no prompt of a bundle can have it."""
    return f"emergency/user/{id}"


def location_sound(id: str) -> str:
    """Return the name of the sound that says where a location is."""
    return f"emergency/location/{id}"


def spoken_texts(bundle: Bundle) -> dict[str, str]:
    """Return the texts to be spoken by the names of their sounds, the places first.

    Nothing where nobody would hear them.
    """
    if not bundle.emergency.safety_team:
        return {}
    texts = {location_sound(one.id): _where(one) for one in bundle.locations}
    for user in bundle.users[:USERS_LIMIT]:
        texts[user_sound(user.id)] = user.name
    return texts


def _where(location: Location) -> str:
    return ". ".join(filter(None, (location.name, " ".join(location.address.split()))))
