"""Every check there is, in the order in which they are shown; a new one needs its line here."""

from appliance.diagnostics.check import Check
from appliance.diagnostics.checks import (
    audio_ports,
    cables,
    certificates,
    clock,
    cloud,
    configuration,
    dhcp,
    doubled,
    gateway,
    machine,
    names,
    trunk,
    zones,
)

CHECKS: tuple[Check, ...] = (
    zones.CHECK,
    cloud.CHECK,
    names.CHECK,
    certificates.CHECK,
    gateway.CHECK,
    cables.CHECK,
    doubled.CHECK,
    dhcp.CHECK,
    trunk.CHECK,
    configuration.CHECK,
    clock.CHECK,
    audio_ports.CHECK,
    machine.CHECK,
)
