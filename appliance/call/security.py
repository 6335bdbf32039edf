"""SRTP between legs (C13): each leg agrees on keys by its own policy, and we bridge what differs.

An offer passes on with the keys of the phone that made it, and with keys of ours for the suites
it did not name. Where the other phone takes one of the first, both have the same keys and packets
pass as they are; where it takes one of ours, or none, the media process undoes the protection and
makes another.
"""

from __future__ import annotations

from appliance.call.actions import Keys
from appliance.call.leg import Leg
from appliance.errors import RemoteError
from appliance.sdp.crypto import BRIDGED, SUITES, CryptoAttribute, KeyParameter, read_crypto
from appliance.sdp.offer_answer import UNPROTECTED_FAX
from appliance.sdp.protection import answering, clear, has_keys, negotiated, protected
from appliance.sdp.session import Media, Session


def offered(line: Media, to: Leg, index: int) -> Media:
    """Return an offered line as `to` is offered it.

    Raises RemoteError 488 where the two legs' policies leave nothing both can have.
    """
    if line.is_fax:
        if to.srtp == "required":
            raise RemoteError(488, UNPROTECTED_FAX)
        return line
    with_keys = has_keys(line)
    secure = _is_asked_for_srtp(to, line, index)
    if not (secure or with_keys or line.secure):
        return line
    theirs = read_crypto(line.crypto)
    if not secure:
        return _offered_clear(line, theirs, to)
    if line.secure and _only_pass(theirs):
        return line  # there is no undoing these: they pass, or the call does not
    return protected(line, _own_lines(to, index, theirs))


def protectable(lines: tuple[int, ...], offer: Session, to: Leg) -> tuple[int, ...]:
    """Return the m-lines a leg can have beside others: T.38 alone is for `offered` to refuse."""
    if to.srtp != "required":
        return lines
    return tuple([index for index in lines if not offer.media[index].is_fax]) or lines


def answered(line: Media, offer: Media, to: Leg, index: int) -> Media:
    """Return an answered line as `to`, which made `offer`, is told it."""
    if not (has_keys(offer) or has_keys(line) or offer.secure):
        return line
    chosen, theirs = read_crypto(line.crypto), read_crypto(offer.crypto)
    if chosen and any(key_line.tag == chosen[0].tag for key_line in theirs):
        return answering(line, offer, chosen[0])
    if not chosen and not offer.secure:
        return answering(line, offer, None)
    mine = next((key_line for key_line in theirs if key_line.bridgeable), None)
    if mine is None:
        if offer.secure:
            raise RemoteError(488, "SRTP of a kind that only passes from phone to phone")
        return answering(line, offer, None)
    return answering(line, offer, _own_line(to, index, mine.tag, mine.suite))


def keys_of(told: Media, heard: Media) -> tuple[Keys | None, Keys | None]:
    """Return with which keys a phone sends and is sent; None: clear RTP."""
    lines = negotiated(told, heard) if has_keys(heard) else None
    if lines is None:
        return None, None
    return _keys(lines.heard), _keys(lines.told)


def other_profile(leg: Leg) -> bool | None:
    """Tell what to ask a phone for that refused the profile it was offered: SRTP or not.

    None: its policy allows no other.
    """
    if leg.told is None:
        return None
    secure = not any(line.secure for line in leg.told.media if line.port)
    return None if leg.srtp == ("off" if secure else "required") else secure


def _is_asked_for_srtp(to: Leg, line: Media, index: int) -> bool:
    if to.srtp != "preferred":
        return to.srtp == "required"
    if to.asked_for_srtp is not None:
        return to.asked_for_srtp
    agreed = _live(to.told, index) if _live(to.heard, index) else None
    return line.secure if agreed is None else agreed.secure


def _live(session: Session | None, index: int) -> Media | None:
    if session is None or index >= len(session.media):
        return None
    line = session.media[index]
    return line if line.port else None


def _offered_clear(line: Media, theirs: tuple[CryptoAttribute, ...], to: Leg) -> Media:
    if not line.secure:
        # Keys beside a clear profile: the phone would like SRTP and does without if need be.
        return line if to.srtp != "off" and to.asked_for_srtp is None else clear(line)
    if _only_pass(theirs):
        raise RemoteError(488, "SRTP of a kind that only passes from phone to phone")
    return clear(line)


def _only_pass(lines: tuple[CryptoAttribute, ...]) -> bool:
    """Tell whether we can undo none of these; with no line at all the leg has keys of ours."""
    return bool(lines) and not any(line.bridgeable for line in lines)


def _own_lines(
    to: Leg, index: int, theirs: tuple[CryptoAttribute, ...]
) -> tuple[CryptoAttribute, ...]:
    """Return key lines of ours for the suites that `theirs` leave out, with tags after theirs.

    The suite that the phone uses already comes first, so that it has no reason to change it.
    """
    named = {line.standard_suite for line in theirs}
    first = max((line.tag for line in theirs), default=0) + 1
    agreed = _agreed_suite(to, index)
    missing = [suite for suite in BRIDGED if suite not in named]
    missing.sort(key=lambda suite: suite != agreed)
    return tuple(_own_line(to, index, first + n, suite) for n, suite in enumerate(missing))


def _agreed_suite(to: Leg, index: int) -> str:
    told, heard = _live(to.told, index), _live(to.heard, index)
    lines = negotiated(told, heard) if told is not None and heard is not None else None
    return lines.heard.standard_suite if lines is not None else ""


def _own_line(to: Leg, index: int, tag: int, suite: str) -> CryptoAttribute:
    """Return a key line of ours; the key stays the same for as long as the leg lasts."""
    name = f"{index} {suite}"
    key = to.keys.get(name)
    if key is None:
        key = to.keys[name] = to.context.identifiers.key(SUITES[suite])
    return CryptoAttribute(tag, suite, (KeyParameter(key),))


def _keys(line: CryptoAttribute) -> Keys:
    key = line.keys[0]
    return Keys(line.standard_suite, key.key_salt, key.mki)
