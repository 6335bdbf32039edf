"""Probing goes on: connections die, answers are late, zones move, and no zone is wronged (A1)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from appliance.call.events import ZoneAnswer
from tests.adapters.prober import Bench, both_loops, run, tcp, udp
from tests.adapters.serving import until
from tests.adapters.zones import DatagramZone, StreamZone, answering, silent


@both_loops
def test_a_connection_that_ended_between_questions_is_replaced(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(200)).start()
        await bench.ask(tcp(zone.port))
        zone.drop_all()
        await asyncio.sleep(0.02)
        assert (await bench.ask(tcp(zone.port))).status == 200
        assert zone.connections == 2
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_a_half_dead_connection_is_left_after_one_miss(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(answering(200)).start()
        await bench.ask(tcp(zone.port))
        dead = zone.requests[0].via.sent_by
        zone.reply = lambda r: None if r.via.sent_by == dead else answering(200)(r)
        assert (await bench.ask(tcp(zone.port), timeout=0.2)).status is None
        assert (await bench.ask(tcp(zone.port))).status == 200
        assert (await bench.ask(tcp(zone.port))).status == 200
        assert zone.connections == 2
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_a_late_answer_counts_for_the_question_that_is_open(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(silent).start()
        assert (await bench.ask(tcp(zone.port), timeout=0.2)).status is None
        late = zone.requests[0]
        zone.reply = lambda request: late.response(200, to_tag="z").encode()
        answer = await bench.ask(tcp(zone.port))
        assert answer.status == 200
        assert answer.rtt is not None
        assert answer.rtt > 0.19  # the clock of a loop ticks in milliseconds
        zone.stop()

    run(loop, tmp_path, scenario)


@both_loops
def test_udp_is_retransmitted_as_sip_does(loop: str, tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await DatagramZone(silent).start()
        await bench.ask(udp(zone.port), timeout=1.7)
        assert len(zone.requests) == 3
        assert len({request.via.branch for request in zone.requests}) == 1
        await asyncio.sleep(0.5)
        assert len(zone.requests) == 3
        zone.stop()

    run(loop, tmp_path, scenario)


def test_answers_nobody_asked_for_are_ignored(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        def confused(request: object) -> bytes:
            assert hasattr(request, "response")
            provisional = request.response(100).encode()
            foreign = request.response(200).encode().replace(b"z9hG4bK", b"z9hG4bKx")
            own = b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x\r\nContent-Length: 0\r\n\r\n"
            return provisional + foreign + own + b"SIP/2.0 junk\r\n\r\n"

        zone = await StreamZone(confused).start()
        assert (await bench.ask(tcp(zone.port), timeout=0.3)).status is None
        zone.stop()

    run("uvloop", tmp_path, scenario)


def test_a_zone_that_moved_is_asked_at_its_new_place(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        old = await StreamZone(answering(200)).start()
        new = await StreamZone(answering(404)).start()
        await bench.ask(tcp(old.port))
        assert (await bench.ask(tcp(new.port))).status == 404
        old.stop()
        new.stop()

    run("uvloop", tmp_path, scenario)


def test_nothing_is_left_after_close(tmp_path: Path) -> None:
    async def scenario(bench: Bench) -> None:
        zone = await StreamZone(silent).start()
        heard: list[ZoneAnswer] = []
        bench.prober.probe(tcp(zone.port), 0.2, heard.append)
        await until(lambda: zone.requests)
        bench.prober.close()
        await asyncio.sleep(0.3)
        assert heard == []
        assert len(asyncio.all_tasks()) <= 4
        zone.stop()

    run("asyncio", tmp_path, scenario)
