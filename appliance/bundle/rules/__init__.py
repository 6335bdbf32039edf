"""What must hold between the parts of a bundle; each rule yields what contradicts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules import (
    calling,
    cloud,
    drills,
    emergency,
    forwarding,
    groups,
    names,
    numbering,
    people,
    places,
    prompts,
    trunk,
    ways,
)

Rule = Callable[[Bundle], Iterator[Problem]]

RULES: tuple[Rule, ...] = (
    names.ids_are_unique,
    cloud.zones_differ,
    cloud.authorities_are_certificates,
    cloud.issued_is_a_time,
    cloud.expiries_leave_a_choice,
    cloud.digest_algorithms_are_usable,
    cloud.trunk_keys_travel_hidden,
    trunk.trunk_certificates_can_be_read,
    trunk.certificates_name_one,
    trunk.header_rules_are_harmless,
    trunk.codecs_are_unique,
    trunk.prefixes_lead_one_way,
    trunk.trunk_numbers_lead_somewhere,
    trunk.the_country_has_a_number_plan,
    trunk.dial_rules_can_be_kept,
    cloud.dscp_traffic_is_unique,
    numbering.emergency_numbers_are_unique,
    numbering.dialled_names_are_unique,
    numbering.emergency_numbers_stay_free,
    numbering.site_codes_are_unambiguous,
    numbering.extensions_leave_site_codes_free,
    numbering.numbers_are_unique,
    people.credentials_are_unique,
    people.credentials_open_this_site,
    people.users_are_somewhere_known,
    people.devices_have_known_users,
    people.macs_are_unique,
    people.ldap_accounts_are_unique,
    emergency.phones_are_told_by_their_mac,
    emergency.pool_is_free,
    emergency.elins_are_nobodys,
    emergency.route_groups_exist,
    emergency.safety_team_are_users,
    emergency.safety_group_is_a_group,
    emergency.webhook_is_https,
    places.time_zones_exist,
    places.networks_are_networks,
    places.hours_can_be_kept,
    places.exceptions_can_be_kept,
    places.calendars_can_be_read,
    prompts.prompts_can_be_heard,
    groups.members_are_users,
    groups.kinds_have_what_they_need,
    groups.kinds_lead_where_they_say,
    groups.references_exist,
    groups.targets_exist,
    ways.nobody_goes_round,
    forwarding.forwarding_leads_somewhere,
    forwarding.nobody_forwards_round,
    forwarding.codes_are_told_apart,
    calling.orbits_are_a_range,
    calling.orbits_stay_free,
    calling.pickup_groups_have_users,
    drills.drills_have_a_day,
    drills.drills_are_for_somebody,
)
"""In the order in which problems are told."""
