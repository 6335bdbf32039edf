"""Every check there is, in the order in which they are shown; a new one needs its line here."""

from appliance.diagnostics.check import Check
from appliance.diagnostics.checks import (
    audio,
    audio_ports,
    cables,
    certificates,
    clock,
    cloud,
    configuration,
    dhcp,
    double_nat,
    doubled,
    gateway,
    machine,
    marked,
    names,
    path_mtu,
    sip_alg,
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
    path_mtu.CHECK,
    double_nat.CHECK,
    sip_alg.CHECK,
    audio.CHECK,
    marked.CHECK,
    trunk.CHECK,
    configuration.CHECK,
    clock.CHECK,
    audio_ports.CHECK,
    machine.CHECK,
)
