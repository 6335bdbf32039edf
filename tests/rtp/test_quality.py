"""What is said of a stream's quality is what happened to it."""

from __future__ import annotations

import pytest

from appliance.rtp.quality import B, MediaQuality, SessionQuality
from appliance.rtp.sampled import Format, is_sampled
from tests.rtp.reports import block, receiver_report, sender_report, voip_metrics
from tests.rtp.stream import Network, Observer, Sender

WAYS = pytest.mark.parametrize("counts", ["counted", "sampled", "read"])


def reported(observer: Observer, **more: bool) -> MediaQuality:
    quality = observer.session.report(observer.side, observer.packets, observer.octets, **more)
    assert quality is not None
    return quality


def observing(counts: str) -> Observer:
    return Observer(SessionQuality(), counts=counts == "counted", reads=counts == "read")


def seen(sender: Sender, network: Network, seconds: float, counts: str = "counted") -> Observer:
    observer = observing(counts)
    observer.watch(network.carry(sender.talk(seconds)))
    return observer


def test_one_packet_of_sixteen_is_sampled() -> None:
    assert sum(map(is_sampled, range(65_536))) == 4096
    assert [number for number in range(130) if is_sampled(number)] == [
        0,
        1,
        2,
        3,
        64,
        65,
        66,
        67,
        128,
        129,
    ]


# -- headers --------------------------------------------------------------------------------


@WAYS
def test_a_good_stream_is_good(counts: str) -> None:
    quality = reported(seen(Sender(), Network(), 30, counts))
    assert (quality.source, quality.codec, quality.loss, quality.loss_max) == (
        "headers",
        "PCMU",
        0,
        0,
    )
    assert quality.jitter == pytest.approx(0, abs=1e-6)
    assert quality.bitrate == pytest.approx(172 * 8 * 50)
    assert quality.mos == pytest.approx(4.37, abs=0.02) and quality.delay is None


def test_loss_is_known_to_the_packet_where_all_are_counted() -> None:
    network = Network(loss=0.05)
    observer = seen(Sender(), network, 60)
    assert reported(observer).loss == pytest.approx(1 - observer.packets / 3000, abs=0.003)


def test_loss_is_known_nearly_to_the_packet_where_counters_are_read() -> None:
    observer = seen(Sender(), Network(loss=0.05, jitter=0.004), 60, "read")
    quality = reported(observer)
    assert quality.loss == pytest.approx(1 - observer.packets / 3000, abs=0.006)
    assert quality.loss_max is not None and 0.05 < quality.loss_max < 0.12


def test_loss_is_known_about_where_only_the_sample_is_seen() -> None:
    quality = reported(seen(Sender(), Network(loss=0.05), 600, counts="sampled"))
    assert quality.loss == pytest.approx(0.05, abs=0.012)


@WAYS
def test_the_worst_interval_stands_out(counts: str) -> None:
    sender, observer = Sender(), observing(counts)
    observer.watch(Network().carry(sender.talk(60)))
    observer.watch(Network(loss=0.4).carry(sender.talk(40)))
    observer.watch(Network().carry(sender.talk(60)))
    quality = reported(observer)
    assert quality.loss == pytest.approx(0.1, abs=0.03)
    assert quality.loss_max is not None and 0.3 < quality.loss_max < 0.6
    assert reported(observer, recent=True).loss == pytest.approx(0, abs=0.01)


@WAYS
def test_jitter_is_that_of_the_whole_stream(counts: str) -> None:
    # |D| of two exponential delays has their mean as its mean.
    network = Network(jitter=0.008, keeps_order=False)
    quality = reported(seen(Sender(), network, 300, counts))
    assert quality.jitter == pytest.approx(0.008, rel=0.25)
    assert quality.jitter_max is not None and quality.jitter_max > 0.008


@WAYS
def test_packets_out_of_order_are_not_lost(counts: str) -> None:
    network = Network(jitter=0.03, keeps_order=False)
    quality = reported(seen(Sender(), network, 120, counts))
    assert quality.loss == pytest.approx(0, abs=0.01)


@WAYS
def test_packets_that_come_twice_hide_no_loss(counts: str) -> None:
    observer = seen(Sender(), Network(loss=0.1, repeats=0.3), 300, counts)
    assert observer.session.streams[0].sampled.duplicates > 100
    assert reported(observer).loss == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("ptime", [0.01, 0.02, 0.03, 0.06])
def test_any_packet_time(ptime: float) -> None:
    observer = seen(Sender(ptime=ptime, payload=round(8000 * ptime)), Network(), 60)
    quality = reported(observer)
    assert observer.session.streams[0].sampled.packet_time == pytest.approx(ptime)
    assert quality.bitrate == pytest.approx(64_000 + 12 * 8 / ptime)


def test_a_clock_of_48_khz() -> None:
    sender = Sender(kind=111, clock=48_000, payload=80)
    observer = Observer(SessionQuality())
    observer.session.agree(0, {111: Format("OPUS", 48_000)})
    observer.watch(Network(jitter=0.004, keeps_order=False).carry(sender.talk(120)))
    quality = reported(observer)
    assert quality.codec == "OPUS"
    assert quality.jitter == pytest.approx(0.004, rel=0.25)
    assert quality.bitrate == pytest.approx(92 * 8 * 50)
    assert quality.mos is not None and 4.0 < quality.mos < 4.4


@WAYS
@pytest.mark.parametrize("counting", [True, False], ids=["clock goes on", "clock stands"])
def test_silence_is_neither_loss_nor_jitter(counts: str, counting: bool) -> None:
    """DTX: a packet of comfort noise, then nothing, then a marked packet."""
    sender, observer = Sender(), observing(counts)
    for _ in range(60):
        observer.watch(Network().carry(sender.talk(1.5)))
        observer.watch(iter([(sender.now + 0.03, sender.packet(13))]))
        sender.be_silent(1.1, counting)
    quality = reported(observer)
    assert (quality.codec, quality.loss) == ("PCMU", 0)
    assert quality.jitter == pytest.approx(0, abs=1e-6)


@WAYS
def test_keys_pressed_are_no_jitter(counts: str) -> None:
    """RFC 4733: all packets of an event have one timestamp."""
    sender, observer = Sender(), observing(counts)
    observer.session.agree(0, {0: Format("PCMU", 8000), 101: Format("TELEPHONE-EVENT", 8000)})
    for _ in range(40):
        observer.watch(Network().carry(sender.talk(1)))
        for _ in range(12):
            observer.watch(iter([(sender.now + 0.03, sender.packet(101))]))
            sender.now += 0.02
        sender.timestamp += 12 * 160
    quality = reported(observer)
    assert (quality.codec, quality.loss) == ("PCMU", 0)
    assert quality.jitter == pytest.approx(0, abs=1e-6)


@WAYS
def test_a_hold_in_the_middle_changes_nothing(counts: str) -> None:
    sender, observer = Sender(), observing(counts)
    observer.watch(Network().carry(sender.talk(20)))
    sender.be_silent(300, counting=False)
    observer.watch(Network().carry(sender.talk(20, marker=False)))
    quality = reported(observer)
    assert quality.loss == quality.loss_max == 0
    assert quality.jitter == pytest.approx(0, abs=1e-6)
    assert quality.bitrate == pytest.approx(172 * 8 * 50)


@WAYS
def test_another_source_is_another_begin(counts: str) -> None:
    observer = observing(counts)
    first = Sender()
    observer.watch(Network().carry(first.talk(20)))
    observer.watch(
        Network().carry(Sender(ssrc=9, sequence=5, timestamp=77, now=first.now).talk(20))
    )
    assert observer.session.streams[0].sampled.restarts == 1
    assert reported(observer).loss == 0


@WAYS
def test_a_jump_of_sequence_numbers_is_another_begin(counts: str) -> None:
    sender, observer = Sender(sequence=30_000), observing(counts)
    observer.watch(Network().carry(sender.talk(20)))
    sender.sequence = 200
    observer.watch(Network(loss=0.1).carry(sender.talk(60)))
    assert observer.session.streams[0].sampled.restarts == 1
    assert reported(observer).loss == pytest.approx(0.075, abs=0.03)


def test_from_user_space_to_the_kernel_and_back() -> None:
    """Counts end and begin anew; none of it is loss."""
    sender, observer = Sender(), Observer(SessionQuality())
    for counts in (True, False, True):
        observer.counts = counts
        observer.watch(Network().carry(sender.talk(20)))
    quality = reported(observer)
    assert quality.loss == quality.loss_max == 0
    assert observer.session.streams[0].sampled.restarts == 0


def test_an_unknown_codec_has_no_mos_but_loss() -> None:
    observer = seen(Sender(kind=77), Network(loss=0.1), 30)
    quality = reported(observer)
    assert (quality.codec, quality.mos, quality.jitter) == ("", None, None)
    assert quality.loss == pytest.approx(0.1, abs=0.03)


def test_what_is_used_is_told_and_not_what_was_preferred() -> None:
    observer = Observer(SessionQuality())
    observer.session.agree(0, {9: Format("G722", 8000), 8: Format("PCMA", 8000)})
    observer.watch(Network().carry(Sender(kind=8).talk(10)))
    assert reported(observer).codec == "PCMA"


def test_too_little_is_told_as_nothing() -> None:
    observer = seen(Sender(), Network(), 0.4)
    assert observer.session.report(0, observer.packets, observer.octets) is None


def test_mad_headers_cost_no_memory() -> None:
    observer = Observer(SessionQuality())
    for number in range(5000):
        sender = Sender(
            ssrc=number, sequence=number * 7919, kind=number % 128, timestamp=number << 20
        )
        observer.watch(Network().carry(sender.talk(0.1)))
    assert len(observer.session.streams[0].sampled._types) <= 16
    assert reported(observer).loss is not None


# -- RTCP -----------------------------------------------------------------------------------


class Call:
    """A's stream, seen by us, with what B reports of it every 5 s."""

    def __init__(self, network: Network, beyond: float = 0.0) -> None:
        self.sender, self.network = Sender(), network
        self.beyond = Network(loss=beyond)
        self.observer = Observer(SessionQuality())
        self.first = self.sender.sequence
        self.got = 0
        self.before = (0, 0)

    def talk(self, seconds: float = 5.0) -> None:
        here = list(self.network.carry(self.sender.talk(seconds)))
        self.observer.watch(iter(here))
        self.got += len(list(self.beyond.carry(iter(here))))

    def report(self, late: float = 0.0, **more: float) -> None:
        sent = self.sender.sequence - self.first
        lost = sent - self.got
        then, before = self.before
        fraction = max(lost - before, 0) / (sent - then) if sent > then else 0.0
        self.before = (sent, lost)
        figures = {"highest": self.sender.sequence - 1, "lost": lost, "fraction": fraction}
        data = receiver_report(0x1234, **figures, **more)
        self.observer.session.rtcp(B, data, self.sender.now + late)

    @property
    def quality(self) -> MediaQuality:
        return reported(self.observer)


def test_the_far_ends_reports_come_before_our_own_look() -> None:
    call = Call(Network(), beyond=0.05)
    for _ in range(12):
        call.talk()
        call.report(jitter=24)
    quality = call.quality
    assert quality.source == "rtcp"
    assert quality.loss == pytest.approx(1 - call.got / 3000, abs=0.003)
    assert quality.loss_max is not None and 0.05 < quality.loss_max < 0.12
    assert quality.jitter == pytest.approx(0.003) == quality.jitter_max
    assert quality.mos is not None and 3.8 < quality.mos < 4.0


def test_one_report_is_enough_for_a_short_call() -> None:
    call = Call(Network(), beyond=0.1)
    call.talk(6)
    call.report()
    assert call.quality.source == "rtcp"
    assert call.quality.loss == pytest.approx(1 - call.got / 300, abs=0.02)


def test_who_looks_late_counts_no_loss_of_before() -> None:
    """As after a restart of the media process: the phone's sum goes back to the call's begin."""
    call = Call(Network(), beyond=0.3)
    for _ in range(10):
        call.talk()
        call.report()
    call.observer.session = SessionQuality()
    call.observer.packets = call.observer.octets = 0
    call.beyond = Network()
    for _ in range(3):
        call.talk()
        call.report()
    assert (call.quality.source, call.quality.loss) == ("rtcp", 0)
    all_packets = call.observer.packets + 2500
    quality = call.observer.session.report(0, all_packets, 172 * all_packets)
    assert quality is not None and quality.source == "rtcp"


def test_missing_reports_leave_no_gap() -> None:
    call = Call(Network(), beyond=0.1)
    for number in range(12):
        call.talk()
        if number in (0, 1, 7, 11):
            call.report()
    assert call.quality.loss == pytest.approx(1 - call.got / 3000, abs=0.003)


def test_reports_before_any_header_is_seen_count_by_what_the_sender_says() -> None:
    """As in the kernel, which copies a header only now and then."""
    session = SessionQuality()
    session.rtcp(B, receiver_report(7, highest=100, lost=50), 5.0)
    assert session.streams[0].reception.expected == 0
    session.rtcp(0, sender_report(8, packets=250), 5.5)
    session.rtcp(B, receiver_report(8, highest=349, lost=25), 6.0)
    session.rtcp(B, receiver_report(8, highest=599, lost=50), 11.0)
    quality = session.report(0, 500, 86_000)
    assert quality is not None and (quality.source, quality.loss) == ("rtcp", 0.1)


def test_a_report_that_comes_late_or_twice_is_passed_over() -> None:
    call = Call(Network(), beyond=0.1)
    for _ in range(4):
        call.talk()
        call.report()
    before = call.quality
    old = receiver_report(0x1234, highest=call.first + 400, lost=1, jitter=7000)
    call.observer.session.rtcp(B, old, call.sender.now)
    call.report(jitter=7000)
    assert call.quality == before


def test_when_reports_end_early_our_own_look_counts() -> None:
    call = Call(Network())
    call.talk()
    call.report()
    call.network = Network(loss=0.2)
    for _ in range(10):
        call.talk()
    assert call.quality.source == "headers"
    assert call.quality.loss == pytest.approx(0.18, abs=0.03)


def test_a_hold_between_reports_is_no_loss() -> None:
    call = Call(Network())
    for _ in range(3):
        call.talk()
        call.report()
    for _ in range(5):
        call.sender.be_silent(5)
        call.report(jitter=400)
    call.talk()
    call.report()
    assert (call.quality.loss, call.quality.loss_max, call.quality.jitter_max) == (0, 0, 0)


def test_reports_follow_another_source() -> None:
    call = Call(Network())
    for _ in range(3):
        call.talk()
        call.report()
    call.sender.ssrc, call.sender.sequence = 0x5678, 300
    for number in range(3):
        call.talk()
        figures = {"highest": call.sender.sequence - 1, "lost": 25 * (number + 1), "fraction": 0.1}
        data = receiver_report(0x5678, **figures)
        call.observer.session.rtcp(B, data, call.sender.now)
    assert call.quality.loss == pytest.approx(75 / 1500, abs=0.004)


def test_reports_on_other_streams_are_passed_over() -> None:
    call = Call(Network())
    call.talk()
    call.observer.session.rtcp(B, receiver_report(0xBAD, highest=1000, lost=900), 1.0)
    call.observer.session.rtcp(B, voip_metrics(0xBAD, discard=0.5), 1.0)
    assert (call.quality.source, call.quality.loss) == ("headers", 0)
    assert call.quality.mos == pytest.approx(4.37, abs=0.02)


def test_a_liar_spoils_only_its_own_numbers() -> None:
    call = Call(Network())
    call.talk()
    for highest, lost, jitter in ((1 << 31, 0x7FFFFF, 0xFFFFFFFF), (5, -1, 0), (0xFFFFFFFF, 5, 9)):
        data = receiver_report(
            0x1234, highest=highest, lost=lost, jitter=jitter, last=7, delay=65_000
        )
        call.observer.session.rtcp(B, data, call.sender.now)
    quality = call.quality
    assert quality.loss is not None and 0 <= quality.loss <= 1
    assert quality.mos is not None and 1 <= quality.mos <= 4.5 and quality.delay is None


def test_the_way_to_each_phone_is_measured_by_the_others_reports() -> None:
    """A's report goes to B and B answers 2 s later: what is missing is the way to B and back."""
    session = SessionQuality()
    for side, way in ((0, 0.3), (1, 0.04)):
        session.rtcp(side, sender_report(10 + side, moment=(0xA3F1, 0x4CCC0000)), 100.0)  # type: ignore[arg-type]
        answer = receiver_report(10 + side, last=0xA3F14CCC, delay=2.0)
        session.rtcp(1 - side, answer, 102.0 + way)  # type: ignore[arg-type]
    ways = [session.report(side, 1000, 172_000) for side in (0, 1)]  # type: ignore[arg-type]
    assert [way.delay for way in ways if way] == pytest.approx([0.04, 0.3])


def test_delay_is_heard() -> None:
    near, far = Call(Network()), Call(Network())
    for call, way in ((near, 0.0), (far, 0.5)):
        now = call.sender.now
        call.observer.session.rtcp(0, sender_report(0x1234, moment=(1, 0)), now)
        call.talk()
        call.report(last=0x10000, delay=5.0, late=way)
    assert near.quality.mos is not None and far.quality.mos is not None
    assert near.quality.mos - far.quality.mos > 0.5


def test_what_the_phone_discards_is_lost_as_well() -> None:
    call = Call(Network())
    call.talk()
    call.report()
    clean = call.quality
    call.observer.session.rtcp(B, voip_metrics(0x1234, discard=0.1, within=0.08), call.sender.now)
    assert call.quality.loss == clean.loss == 0
    assert call.quality.mos is not None and clean.mos is not None
    assert call.quality.mos < clean.mos - 0.5


def test_counts_of_sender_and_relay_are_compared_where_nothing_else_is() -> None:
    session = SessionQuality()
    for number in range(6):
        report = sender_report(1, packets=1000 + 250 * number, about=block(2))
        session.rtcp(0, report, 5.0 * number, count=240 * number)
    quality = session.report(0, 1200, 1200 * 172)
    assert quality is not None
    assert (quality.source, quality.loss, quality.jitter) == ("counters", pytest.approx(0.04), None)


def test_counts_alone_tell_no_loss_and_no_mos() -> None:
    session = SessionQuality()
    session.agree(0, {8: Format("PCMA", 8000)})
    quality = session.report(0, 500, 500 * 172)
    assert quality == MediaQuality(source="counters", codec="PCMA", bitrate=68_800)


def test_what_is_no_rtcp_is_counted() -> None:
    session = SessionQuality()
    session.rtcp(0, b"nonsense", 0.0)
    assert session.malformed == 1
