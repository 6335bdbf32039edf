# SPDX-License-Identifier: GPL-2.0-only
"""Packet-level probes of a site's network, in an executable of their own.

It stands on scapy, which is under the GPL, version 2 only; so is this folder (see COPYING). It
imports nothing of Holdfast, and nothing of Holdfast imports it: the two talk by a line of JSON
each way.
"""
