"""The E-model beside the standard's own numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.rtp.e_model import (
    FULLBAND,
    NARROWBAND,
    WIDEBAND,
    Connection,
    absolute_delay,
    effective_impairment,
    mos,
    rating,
    speech_quality,
)
from appliance.rtp.impairment import impairment_of, known_codecs

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors/e_model.json").read_text())


def test_the_default_connection() -> None:
    default = VECTORS["default"]
    assert round(rating(Connection()), 1) == default["r"]
    assert rating(Connection()) == pytest.approx(default["digits"], abs=1e-9)
    assert mos(rating(Connection())) == pytest.approx(default["mos"], abs=0.005)


@pytest.mark.parametrize(("r", "score"), VECTORS["mos"]["rows"])
def test_mos_of_a_rating(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.01)


@pytest.mark.parametrize("r", VECTORS["inverse"]["rows"])
def test_the_standards_own_way_back_leads_to_the_same_rating(r: float) -> None:
    score = mos(r)
    root = math.sqrt(-903522 + 1113960 * score - 202500 * score**2)
    h = math.atan2(15 * root, 18566 - 6750 * score) / 3
    assert 20 / 3 * (8 - math.sqrt(226) * math.cos(h + math.pi / 3)) == pytest.approx(r, abs=0.01)


@pytest.mark.parametrize(("ie", "score"), VECTORS["wideband"]["rows"])
def test_mos_on_the_wideband_scale(ie: float, score: float) -> None:
    assert speech_quality(WIDEBAND, ie, 4.3, 0, 0) == pytest.approx(score, abs=0.006)


@pytest.mark.parametrize(("delay", "cost"), VECTORS["delay"]["rows"])
def test_what_delay_costs_with_the_default_echo(delay: float, cost: float) -> None:
    late = rating(Connection(t=delay, tr=2 * delay, ta=delay))
    assert rating(Connection()) - late == pytest.approx(cost, abs=VECTORS["delay"]["tolerance"])


@pytest.mark.parametrize(("codec", "ie", "silent", "heard"), VECTORS["bounds"]["rows"])
def test_how_much_delay_each_codec_leaves_room_for(
    codec: str, ie: float, silent: float, heard: float
) -> None:
    bounds = VECTORS["bounds"]
    for delay, telr in ((silent, 1000), (heard, bounds["telr"])):
        late = Connection(ie=ie, t=delay, tr=2 * delay, ta=delay, telr=telr)
        spent = rating(Connection()) - rating(late)
        assert spent == pytest.approx(bounds["spent"], abs=bounds["tolerance"]), codec


def test_delay_without_echo_costs_nothing_up_to_100_ms() -> None:
    assert absolute_delay(100) == 0 < absolute_delay(150) < absolute_delay(400)


@pytest.mark.parametrize(("codec", "ie", "bpl"), VECTORS["codecs"]["rows"])
def test_codecs_have_their_published_values(codec: str, ie: float, bpl: float) -> None:
    found = impairment_of(codec, 0)
    assert found is not None and (found.ie, found.bpl) == (ie, bpl)


@pytest.mark.parametrize(("loss", "impairment"), VECTORS["loss"]["rows"])
def test_loss_costs_what_listeners_said(loss: float, impairment: float) -> None:
    codec = impairment_of(VECTORS["loss"]["codec"], 0)
    assert codec is not None
    reckoned = effective_impairment(codec.ie, codec.bpl, loss)
    assert reckoned == pytest.approx(impairment, abs=VECTORS["loss"]["tolerance"])


def test_bursts_are_worse_than_random_loss() -> None:
    assert effective_impairment(0, 25.1, 5, burst_ratio=2) > effective_impairment(0, 25.1, 5)


@pytest.mark.parametrize(("codec", "ie", "bpl"), VECTORS["codecs"]["unconcealed"])
def test_g711_without_concealment_is_worse(codec: str, ie: float, bpl: float) -> None:
    plain = impairment_of(codec, 0, conceals=False)
    assert plain is not None and (plain.ie, plain.bpl) == (ie, bpl)
    assert speech_quality(NARROWBAND, plain.ie, plain.bpl, 0.01, 0) < 4.0


def test_opus_is_the_better_the_more_bits_it_has() -> None:
    rates = (6_000, 14_000, 20_000, 24_000, 32_000, 64_000)
    rows = [impairment_of("OPUS", rate) for rate in rates]
    costs = [row.ie for row in rows if row is not None]
    assert costs == sorted(costs, reverse=True) and len(costs) == len(rates)
    assert impairment_of("OPUS", 0) == impairment_of("OPUS", 28_000)


def test_a_codec_without_published_values_has_none() -> None:
    assert impairment_of("ILBC", 15_200) is None
    assert {"PCMU", "G722", "OPUS"} <= set(known_codecs())


@given(
    st.sampled_from([NARROWBAND, WIDEBAND, FULLBAND]),
    st.floats(0, 60),
    st.floats(1, 40),
    st.floats(-1, 2),
    st.floats(-1, 1e6),
)
def test_a_score_is_always_on_the_scale(
    scale: float, ie: float, bpl: float, loss: float, delay: float
) -> None:
    assert 1 <= speech_quality(scale, ie, bpl, loss, delay) <= 4.5


@given(st.sampled_from(sorted(known_codecs())), st.floats(0, 0.3), st.floats(0, 0.5))
def test_more_loss_and_delay_never_sound_better(codec: str, loss: float, delay: float) -> None:
    found = impairment_of(codec, 0)
    assert found is not None
    here = speech_quality(found.scale, found.ie, found.bpl, loss, delay)
    assert speech_quality(found.scale, found.ie, found.bpl, loss + 0.01, delay) <= here
    # The standard's own curve rises by a hair where the echo sets in.
    assert speech_quality(found.scale, found.ie, found.bpl, loss, delay + 0.05) <= here + 0.01
