"""What a change of the bundle costs on the wire: as a delta, beside the whole and the whole packed.

python -m benchmarks.deltas
"""

from __future__ import annotations

import gzip
import time

import msgspec

from appliance.bundle import BUNDLE_LIMIT, Bundle, User
from appliance.cloud.delta import applied, difference
from appliance.cloud.sample import make_sample
from appliance.cloud.signature import new_key, read_key, signed

SITES = ((200, 5_000), (10_000, 50_000))
"""Users and contacts."""


def renamed(user: User) -> User:
    """Return a user with another name."""
    return msgspec.structs.replace(user, name=f"{user.name} the Second")


def changes(bundle: Bundle) -> dict[str, Bundle]:
    """Return the next versions of a site, each with another kind of change."""
    users = bundle.users
    middle = len(users) // 2
    one = (*users[:middle], renamed(users[middle]), *users[middle + 1 :])
    gone = users[:middle] + users[middle + 1 :]
    some = tuple(renamed(user) if at % 20 == 0 else user for at, user in enumerate(users))
    every = tuple(map(renamed, users))
    plans = {"one user renamed": one, "one user gone": gone, "5 % renamed": some, "all": every}
    return {
        name: msgspec.structs.replace(bundle, version=2, users=changed)
        for name, changed in plans.items()
    }


def main() -> None:
    """Print a row for each site and change."""
    key = read_key(new_key()[0])
    print("users/contacts  change            whole      packed     delta    made  applied")
    for users, contacts in SITES:
        bundle = make_sample(users, contacts).bundle
        old = signed(msgspec.json.encode(bundle), key)
        for name, changed in changes(bundle).items():
            new = signed(msgspec.json.encode(changed), key)
            begun = time.perf_counter()
            delta = difference(old, new)
            made = time.perf_counter() - begun
            packed = len(gzip.compress(new, 6))
            row = f"{users:>6}/{contacts:<8} {name:<16}{len(new):>11,}{packed:>11,}"
            if delta is None:
                print(f"{row}   the whole{made:>7.2f}s")
                continue
            begun = time.perf_counter()
            if applied(delta, old, BUNDLE_LIMIT) != new:
                raise SystemExit("the delta made another file")
            took = time.perf_counter() - begun
            print(f"{row}{len(delta):>10,}{made:>7.2f}s{took:>8.3f}s", flush=True)


if __name__ == "__main__":
    main()
