"""What each route asks of whoever wants it: one table, and what is not in it is refused to all."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.accounts import ROLES, Role, Scope


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use a route."""

    roles: frozenset[Role] = frozenset()
    """Of accounts."""
    scope: Scope | None = None
    """What a token must have in its scopes; None: no token may."""
    public: bool = False
    """Needs no log-in at all."""
    noted: bool = False
    """Stands in the audit log though it changes nothing."""
    before_own_password: bool = False
    """Also for an account that has not chosen its own password yet."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who makes a request."""

    name: str
    role: Role
    scopes: frozenset[Scope] = frozenset()
    """Of a token."""
    must_change: bool = False
    """Has to choose an own password before anything else."""
    csrf: str = ""
    """What forms of this session carry; empty for tokens, which no browser sends by itself."""

    def may(self, access: Access) -> bool:
        """Tell whether this visitor may use a route."""
        if access.public:
            return True
        if self.role == "api":
            return access.scope is not None and access.scope in self.scopes
        if self.must_change and not access.before_own_password:
            return False
        return self.role in access.roles


NOBODY = Access()
"""Of a route that the table does not have."""
PUBLIC = Access(public=True)
SELF = Access(frozenset(ROLES), before_own_password=True)
READ = Access(frozenset(ROLES), "read")
METRICS = Access(frozenset(ROLES), "metrics")
OPERATE = Access(frozenset({"admin", "operator"}), "operate")
TAKE = Access(frozenset({"admin", "operator"}), "operate", noted=True)
"""Of what leaves the appliance as a file and tells who called whom."""
ADMIN = Access(frozenset({"admin"}), "admin")
FETCH = Access(frozenset({"admin"}), "admin", noted=True)
PAGE = Access(frozenset(ROLES))
WORK = Access(frozenset({"admin", "operator"}))
CHIEF = Access(frozenset({"admin"}))
REVIEW = Access(frozenset({"admin", "auditor"}))
"""Of pages, which no token opens."""
AUDIT = Access(frozenset({"admin", "auditor"}), "admin")

ACCESS: dict[str, Access] = {
    "GET /static/{name}": PUBLIC,
    "GET /login": PUBLIC,
    "POST /login": PUBLIC,
    "POST /logout": SELF,
    "GET /password": SELF,
    "POST /password": SELF,
    "GET /": PAGE,
    "GET /survivability": PAGE,
    "POST /survivability/test": WORK,
    "POST /survivability/test/end": WORK,
    "GET /phones": PAGE,
    "GET /readiness": PAGE,
    "GET /emergency": PAGE,
    "GET /trunk": PAGE,
    "POST /trunk/drain": WORK,
    "POST /trunk/resume": WORK,
    "POST /trunk/release": WORK,
    "GET /sites": PAGE,
    "POST /sites/drain": WORK,
    "POST /sites/resume": WORK,
    "GET /waiting": PAGE,
    "POST /waiting/return": WORK,
    "POST /waiting/reset": WORK,
    "GET /calls": PAGE,
    "GET /calls/{id}": PAGE,
    "GET /records": PAGE,
    "GET /records.csv": PAGE,
    "GET /records/{id}": PAGE,
    "GET /groups": PAGE,
    "GET /directory": PAGE,
    "GET /configuration": PAGE,
    "GET /diagnostics": PAGE,
    "POST /diagnostics": WORK,
    "GET /diagnostics/captures": CHIEF,
    "POST /diagnostics/captures": CHIEF,
    "POST /diagnostics/captures/{id}/stop": CHIEF,
    "POST /diagnostics/captures/{id}/delete": CHIEF,
    "POST /configuration/pull": WORK,
    "POST /configuration/upload": CHIEF,
    "POST /configuration/release": CHIEF,
    "POST /configuration/discard": CHIEF,
    "POST /configuration/rollback": CHIEF,
    "GET /system": PAGE,
    "GET /system/logs": PAGE,
    "GET /system/access": CHIEF,
    "POST /system/accounts": CHIEF,
    "POST /system/accounts/{name}/role": CHIEF,
    "POST /system/accounts/{name}/reset": CHIEF,
    "POST /system/accounts/{name}/remove": CHIEF,
    "POST /system/tokens": CHIEF,
    "POST /system/tokens/{id}/remove": CHIEF,
    "GET /system/audit": REVIEW,
    "POST /system/backup": CHIEF,
    "POST /api/v1/session": PUBLIC,
    "GET /api/v1/session": SELF,
    "DELETE /api/v1/session": SELF,
    "POST /api/v1/session/password": SELF,
    "GET /api/v1/status": READ,
    "GET /api/v1/zones": READ,
    "GET /api/v1/phones": READ,
    "GET /api/v1/readiness": READ,
    "GET /api/v1/calls": READ,
    "GET /api/v1/calls/{id}/messages": READ,
    "GET /api/v1/calls/{id}/pcap": TAKE,
    "GET /api/v1/records": READ,
    "GET /api/v1/records/{id}": READ,
    "GET /api/v1/mode": READ,
    "GET /api/v1/mode/history": READ,
    "GET /api/v1/evidence": READ,
    "GET /api/v1/diagnostics": READ,
    "POST /api/v1/diagnostics": OPERATE,
    "GET /api/v1/diagnostics/{id}": READ,
    "GET /api/v1/diagnostics/{id}/report": READ,
    "GET /api/v1/captures": ADMIN,
    "POST /api/v1/captures": ADMIN,
    "GET /api/v1/captures/{id}": ADMIN,
    "DELETE /api/v1/captures/{id}": ADMIN,
    "POST /api/v1/captures/{id}/stop": ADMIN,
    "GET /api/v1/captures/{id}/pcap": FETCH,
    "GET /api/v1/bundle": READ,
    "POST /api/v1/bundle": ADMIN,
    "POST /api/v1/sync": OPERATE,
    "GET /api/v1/qos": READ,
    "GET /api/v1/emergency": READ,
    "GET /api/v1/emergency/trial": READ,
    "GET /api/v1/directory": READ,
    "GET /api/v1/forwardings": READ,
    "POST /api/v1/forwardings/{extension}/reset": OPERATE,
    "POST /api/v1/parked/{orbit}/return": OPERATE,
    "GET /api/v1/dial": READ,
    "GET /api/v1/trunk": READ,
    "POST /api/v1/trunk/drain": OPERATE,
    "POST /api/v1/trunk/resume": OPERATE,
    "POST /api/v1/trunk/release": OPERATE,
    "GET /api/v1/peers": READ,
    "POST /api/v1/peers/drain": OPERATE,
    "POST /api/v1/peers/resume": OPERATE,
    "POST /api/v1/test": OPERATE,
    "DELETE /api/v1/test": OPERATE,
    "GET /api/v1/zones/{id}/day": READ,
    "GET /api/v1/issues": READ,
    "GET /api/v1/machine": READ,
    "GET /api/v1/notices": READ,
    "GET /api/v1/groups": READ,
    "POST /api/v1/groups/{extension}/walk": READ,
    "GET /api/v1/bundle/changes": READ,
    "GET /api/v1/bundle/versions": READ,
    "POST /api/v1/bundle/rollback": ADMIN,
    "POST /api/v1/bundle/held/release": ADMIN,
    "POST /api/v1/bundle/held/discard": ADMIN,
    "GET /api/v1/events": READ,
    "GET /metrics": METRICS,
    "GET /api/v1/accounts": ADMIN,
    "POST /api/v1/accounts": ADMIN,
    "PATCH /api/v1/accounts/{name}": ADMIN,
    "DELETE /api/v1/accounts/{name}": ADMIN,
    "POST /api/v1/accounts/{name}/password": ADMIN,
    "GET /api/v1/tokens": ADMIN,
    "POST /api/v1/tokens": ADMIN,
    "DELETE /api/v1/tokens/{id}": ADMIN,
    "GET /api/v1/audit": AUDIT,
    "POST /api/v1/backup": ADMIN,
}
"""By method and path; a scope gives only what carries its name, so `admin` alone reads nothing."""
