"""The text form of noises: what is read, what is refused and with which words, round trips, ranges."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.errors import NoiseError
from grainless.noise import (
    KINDS,
    Camera,
    Chain,
    Clean,
    Gaussian,
    Jpeg,
    Noise,
    Poisson,
    RandomImpulse,
    SaltPepper,
    Scattered,
    Speckle,
    parse_noise,
    parse_noise_range,
)


@pytest.mark.parametrize(
    ("text", "noise"),
    [
        ("clean", Clean()),
        ("salt-pepper:0.1", SaltPepper(0.1)),
        ("salt-pepper:0.1:channel", SaltPepper(0.1, per="channel")),
        ("salt-pepper:0.1:salt=0.3", SaltPepper(0.1, salt=0.3)),
        ("salt-pepper:0.1:near=5", SaltPepper(0.1, near=5)),
        ("salt-pepper:0.1:channel:salt=0.3:near=5", SaltPepper(0.1, 0.3, "channel", 5)),
        ("impulse:0.1", RandomImpulse(0.1)),
        ("impulse:0.1:channel", RandomImpulse(0.1, "channel")),
        ("scattered:492", Scattered(492)),
        ("gaussian:25", Gaussian(25)),
        ("gaussian:0.5", Gaussian(0.5)),
        ("poisson:30", Poisson(30)),
        ("speckle:0.1", Speckle(0.1)),
        ("jpeg:40", Jpeg(40)),
        ("camera:0.5", Camera(0.5)),
        ("gaussian:25+jpeg:60", Chain((Gaussian(25), Jpeg(60)))),
        ("clean+poisson:4+speckle:1", Chain((Clean(), Poisson(4), Speckle(1)))),
    ],
)
def test_text_and_noise_are_two_forms_of_one_thing(text: str, noise: Noise):
    assert parse_noise(text) == noise
    assert str(noise) == text


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (" gaussian : 25 + jpeg:60 ", "gaussian:25+jpeg:60"),
        ("salt-pepper:0.10:near=5:pixel:salt=.5", "salt-pepper:0.1:near=5"),
        ("salt-pepper:0.1:near=5:channel", "salt-pepper:0.1:channel:near=5"),
        ("salt-pepper:density=0.1", "salt-pepper:0.1"),
        ("gaussian:2.5e1", "gaussian:25"),
        ("jpeg:40.0", "jpeg:40"),
        ("scattered:count=1e3", "scattered:1000"),
    ],
)
def test_other_ways_to_write_it_are_read_too(text: str, normal: str):
    assert str(parse_noise(text)) == normal


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_the_examples_in_messages_are_valid(kind: type[Noise]):
    assert isinstance(parse_noise(kind.example), kind)
    assert str(parse_noise(kind.example)) == kind.example


def test_the_example_of_a_sum_is_valid():
    assert str(parse_noise(Chain.example)) == Chain.example


ALL_NAMES = ".*".join(KINDS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "gausian:25",
            rf"names no known noise; got 'gausian'; expected one of {ALL_NAMES}.*example gaussian:25",
        ),
        ("blur:3", rf"names no known noise; got 'blur'; expected one of {ALL_NAMES}.*join several with \+"),
        ("", rf"has an empty step; got ''; expected one of {ALL_NAMES}"),
        ("gaussian:25+", r"'gaussian:25\+' has an empty step"),
        (
            "gaussian",
            r"lacks the sigma of gaussian; expected gaussian:SIGMA \(standard deviation, .*gaussian:25\.",
        ),
        ("salt-pepper:channel", r"lacks the density of salt-pepper"),
        ("gaussian:loud", r"sigma of gaussian is not valid; got 'loud'; expected a number from 0 to 255"),
        ("gaussian:", r"sigma of gaussian is not valid; got ''"),
        ("gaussian:-1", r"sigma of gaussian is not valid; got -1; expected a number from 0 to 255"),
        ("gaussian:nan", r"got nan; expected a number from 0 to 255"),
        ("gaussian:inf", r"got inf; expected a number from 0 to 255"),
        (
            "salt-pepper:1.2",
            r"density of salt-pepper is not valid; got 1\.2; expected a number from 0 to 1 \(share",
        ),
        ("salt-pepper:0.1:salt=2", r"salt of salt-pepper is not valid; got 2; expected a number from 0 to 1"),
        (
            "salt-pepper:0.1:near=200",
            r"near of salt-pepper is not valid; got 200; expected a number from 0 to 127",
        ),
        ("impulse:2", r"density of impulse is not valid; got 2"),
        ("poisson:0", r"peak of poisson is not valid; got 0; expected a number from 0\.1 to 1000000"),
        ("speckle:11", r"variance of speckle is not valid; got 11; expected a number from 0 to 10"),
        (
            "scattered:1.5",
            r"count of scattered is not valid; got 1\.5; expected a whole number from 0 to 10000000 \(places",
        ),
        ("scattered:10000001", r"got 10000001; expected a whole number from 0 to 10000000"),
        ("scattered:-1", r"count of scattered is not valid; got -1"),
        ("scattered:9:channel", r"scattered does not know; got 'channel'; expected no more than scattered:"),
        ("jpeg:0", r"quality of jpeg is not valid; got 0; expected a whole number from 1 to 100"),
        ("jpeg:40.5", r"got 40\.5; expected a whole number from 1 to 100"),
        ("camera:5", r"strength of camera is not valid; got 5; expected a number from 0 to 4"),
        (
            "salt-pepper:0.1:chanel",
            r"got 'chanel'; expected .*:DENSITY.*:pixel, :channel, :salt=NUMBER, :near=NUMBER",
        ),
        ("salt-pepper:0.1:channel:pixel", r"does not know; got 'pixel'; expected .* at most once"),
        ("salt-pepper:0.1:near=1:near=2", r"got 'near=2'; expected .* at most once"),
        (
            "gaussian:25:channel",
            r"gaussian does not know; got 'channel'; expected no more than gaussian:SIGMA\.",
        ),
        ("gaussian:25:30", r"gaussian does not know; got '30'"),
        ("gaussian:=5", r"gaussian does not know; got '=5'"),
        ("impulse:0.1:near=5", r"impulse does not know; got 'near=5'"),
        ("clean:3", r"clean does not know; got '3'; expected no more than clean\."),
    ],
)
def test_wrong_text_is_refused_with_what_is_valid(text: str, message: str):
    with pytest.raises(NoiseError, match=message):
        parse_noise(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(300), r"sigma of gaussian is not valid; got 300; expected a number from 0 to 255"),
        (lambda: Gaussian("25"), r"sigma of gaussian is not valid; got 25"),
        (lambda: Gaussian(True), r"sigma of gaussian is not valid; got True"),
        (lambda: SaltPepper(float("nan")), r"density of salt-pepper is not valid; got nan"),
        (
            lambda: SaltPepper(0.1, per="row"),
            r"What salt-pepper hits is not valid; got 'row'; expected 'pixel'",
        ),
        (lambda: Jpeg(40.5), r"quality of jpeg is not valid; got 40.5"),
    ],
)
def test_wrong_parameters_are_refused_in_code_as_in_text(make, message: str):
    with pytest.raises(NoiseError, match=message):
        make()


def number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


PER = st.sampled_from(["pixel", "channel"])
SINGLE = st.one_of(
    st.just(Clean()),
    st.builds(SaltPepper, number(0, 1), number(0, 1), PER, number(0, 127)),
    st.builds(RandomImpulse, number(0, 1), PER),
    st.builds(Scattered, st.integers(0, 10_000_000)),
    st.builds(Gaussian, number(0, 255) | number(0, 255).map(np.float32)),
    st.builds(Poisson, number(0.1, 1e6)),
    st.builds(Speckle, number(0, 10)),
    st.builds(Jpeg, st.integers(1, 100)),
    st.builds(Camera, number(0, 4)),
)


@given(SINGLE)
def test_round_trip(noise: Noise):
    assert parse_noise(str(noise)) == noise


@given(st.lists(SINGLE, min_size=2, max_size=4))
def test_round_trip_of_sums(noises: list[Noise]):
    total = Chain(tuple(noises))
    assert parse_noise(str(total)) == total
    assert str(parse_noise_range(str(total))) == str(total)


@given(st.text(alphabet="gausin:+.=0123 -salt-pepper,clean\u00e9", max_size=30))
def test_any_text_is_read_or_refused_never_worse(text: str):
    with contextlib.suppress(NoiseError):
        noise = parse_noise(text)
        assert parse_noise(str(noise)) == noise


# ---- ranges


def test_ranges_are_drawn_uniformly(rng):
    family = parse_noise_range("gaussian:10..50+jpeg:40..43")
    samples = [family.sample(rng) for _ in range(4000)]
    sigmas = np.array([sample.steps[0].sigma for sample in samples])
    assert sigmas.min() >= 10
    assert sigmas.max() <= 50
    assert abs(sigmas.mean() - 30) < 5 * 40 / np.sqrt(12 * len(samples))
    assert abs(sigmas.std() - 40 / np.sqrt(12)) < 5 * 40 / np.sqrt(12 * len(samples))
    qualities, counts = np.unique([sample.steps[1].quality for sample in samples], return_counts=True)
    assert qualities.tolist() == [40, 41, 42, 43]  # both ends
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 0.75)


def test_every_number_can_be_a_range_and_the_rest_stays(rng):
    family = parse_noise_range("salt-pepper:0..0.95:channel:salt=0.2..0.8:near=0..8")
    samples = [family.sample(rng) for _ in range(50)]
    assert all(isinstance(sample, SaltPepper) and sample.per == "channel" for sample in samples)
    for name, low, high in (("density", 0, 0.95), ("salt", 0.2, 0.8), ("near", 0, 8)):
        drawn = {getattr(sample, name) for sample in samples}
        assert len(drawn) == 50
        assert low <= min(drawn) <= max(drawn) <= high


def test_the_same_generator_state_draws_the_same_noise():
    family = parse_noise_range("gaussian:0..55+jpeg:40..95")
    assert family.sample(np.random.default_rng(3)) == family.sample(np.random.default_rng(3))


def test_a_range_family_of_fixed_numbers_is_one_noise(rng):
    assert parse_noise_range("gaussian:25").sample(rng) == Gaussian(25)
    assert parse_noise_range("clean").sample(rng) == Clean()
    assert parse_noise_range("gaussian:5+jpeg:60").sample(rng) == parse_noise("gaussian:5+jpeg:60")


@pytest.mark.parametrize(
    "text", ["gaussian:0..55", "salt-pepper:0..0.95:channel:salt=0.2..0.8+jpeg:40..95", "clean"]
)
def test_ranges_round_trip(text: str):
    family = parse_noise_range(text)
    assert str(family) == text
    assert parse_noise_range(str(family)) == family


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian:55..5", r"range of sigma of gaussian runs backwards; got 55\.\.5; .*Write 5\.\.55"),
        ("gaussian:0..300", r"sigma of gaussian is not valid; got 300; expected a number from 0 to 255"),
        ("gaussian:0..", r"sigma of gaussian is not valid; got ''"),
        ("gaussian:..5", r"sigma of gaussian is not valid; got ''"),
        ("jpeg:1.5..5", r"got 1\.5; expected a whole number"),
    ],
)
def test_wrong_ranges_are_refused(text: str, message: str):
    with pytest.raises(NoiseError, match=message):
        parse_noise_range(text)


def test_a_range_is_refused_where_one_noise_is_needed():
    with pytest.raises(
        NoiseError, match=r"range where one number is needed; got sigma 5\.\.55;.*such as 5;.*recipe"
    ):
        parse_noise("jpeg:50+gaussian:5..55")
