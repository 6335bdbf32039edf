"""Metrics for Prometheus: names begin with `holdfast_`, units are base units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.web.live import Live, View

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MODES = ("standby", "survivability", "recovering", "testing", "no_bundle")
SEVERITIES = ("alarm", "warning", "info")


class Metrics:
    """Answer Prometheus."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def routes(self) -> list[web.RouteDef]:
        """Return the one route."""
        return [web.get("/metrics", self.get_metrics)]

    async def get_metrics(self, request: web.Request) -> web.Response:
        """Tell every figure there is; without core only those of the machine."""
        body = exposition(await self._live.view())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


def exposition(view: View) -> bytes:
    """Write a view as Prometheus reads it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(view))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, view: View) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        view = self._view
        yield _gauge("core_up", "1 while the signalling process answers.", view.status is not None)
        yield from _of_machine(view)
        if view.status is not None:
            yield from _of_core(view)


def _of_machine(view: View) -> Iterator[Metric]:
    machine = view.machine
    yield _labelled("build_info", "What is installed.", "version", {machine.version: 1})
    yield _gauge("disk_size_bytes", "Size of the disk with the data.", machine.disk_size)
    yield _gauge("disk_free_bytes", "What is free of it.", machine.disk_free)
    yield _gauge("memory_available_bytes", "Memory that is free.", machine.memory_available)
    if machine.clock_synchronised is not None:
        text = "1 while something keeps the clock right."
        yield _gauge("clock_synchronised", text, machine.clock_synchronised)
    ends = {one.use: one.ends for one in machine.certificates if one.ends is not None}
    shown = (view.status or {}).get("certificates") or {}
    ends |= {name: one["expires"] for name, one in shown.items()}
    text = "When a certificate ends, ours or an SBC's or other site's by its name, Unix time."
    yield _labelled("certificate_end_timestamp_seconds", text, "use", ends)
    counts = {name: sum(one.severity == name for one in view.issues) for name in SEVERITIES}
    yield _labelled("issues", "Open issues.", "severity", counts)


def _of_core(view: View) -> Iterator[Metric]:
    status = view.status or {}
    modes = {mode: status["mode"] == mode for mode in MODES}
    yield _labelled("mode", "1 for the mode the site is in.", "mode", modes)
    since = status.get("since") or 0
    yield _gauge("mode_since_timestamp_seconds", "When it was entered, Unix time.", since)
    yield _gauge("core_uptime_seconds", "How long it has been running.", status["uptime"])
    zones = status["zones"]
    up = {zone["id"]: zone["state"] == "up" for zone in zones}
    yield _labelled("zone_up", "1 while a zone of the cloud answers.", "zone", up)
    text = "Round trip of the last answer."
    rtts = {zone["id"]: zone["rtt"] for zone in zones if zone.get("rtt") is not None}
    yield _labelled("zone_rtt_seconds", text, "zone", rtts)
    phones, users = status["phones"], status["users"]
    yield _gauge("phones_registered", "Phones registered here.", phones["registered"])
    yield _gauge("phones_expected", "Phones the configuration has.", phones["expected"])
    yield _gauge("users_reachable", "Users with a phone here.", users["registered"])
    yield _gauge("users_expected", "Users the configuration has.", users["total"])
    yield _gauge("calls", "Calls that are up.", status["calls"])
    yield _gauge("banned_sources", "Addresses banned.", len(status["guard"]["banned"]))
    yield from _of_traffic(status)
    yield from _of_cloud(status)


def _of_traffic(status: dict[str, object]) -> Iterator[Metric]:
    for name, text in (
        ("messages", "SIP messages received."),
        ("faults", "Faults of Holdfast itself."),
    ):
        if isinstance(number := status.get(name), int):
            yield CounterMetricFamily(f"holdfast_{name}", text, value=number)
    if isinstance(notices := status.get("notices"), dict):
        family = CounterMetricFamily("holdfast_notices", "Notices written.", labels=["severity"])
        for severity, number in notices.items():
            family.add_metric([severity], number)
        yield family
    if isinstance(ports := status.get("ports"), int):
        yield _gauge("media_ports_used", "UDP ports taken by calls.", ports)


def _of_cloud(status: dict[str, dict[str, object]]) -> Iterator[Metric]:
    pending = (status.get("records") or {}).get("pending")
    if isinstance(pending, int):
        yield _gauge("records_pending", "Call records the cloud has not got.", pending)
    bundle = (status.get("sync") or {}).get("bundle")
    if not isinstance(bundle, dict):
        return
    if bundle.get("version") is not None:
        yield _gauge("bundle_version", "Version of the configuration.", bundle["version"])
    if bundle.get("stored_at") is not None:
        text = "When the configuration came, Unix time."
        yield _gauge("bundle_stored_timestamp_seconds", text, bundle["stored_at"])
    text = "1 while the cloud's API cannot be asked."
    yield _gauge("bundle_pull_failing", text, bool(bundle.get("failure")))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"holdfast_{name}", text, value=float(value))


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"holdfast_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family
