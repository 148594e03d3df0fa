"""Bootstrap: what is drawn together, what stays fixed, what an interval covers."""

from __future__ import annotations

import numpy as np
import pytest

from aligncap.evaluation import bootstrap


def test_clusters_are_drawn_whole_and_strata_keep_their_size():
    clusters = ["p", "p", "q", "r", "r", "s"]
    labels = ["sad", "sad", "sad", "happy", "happy", "happy"]
    weights = bootstrap.resample_weights(clusters, labels, 200, seed=1)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 2] == 2).all()  # two clusters are 'sad'
    assert weights.std() > 0
    assert (weights == bootstrap.resample_weights(clusters, labels, 200, seed=1)).all()
    assert (weights != bootstrap.resample_weights(clusters, labels, 200, seed=2)).any()


def test_sessions_of_mixed_labels_are_one_stratum():
    weights = bootstrap.resample_weights([0, 0, 1, 1, 2, 2], ["a", "b"] * 3, 100, seed=0)
    assert (weights.sum(axis=1) == 6).all() and len(np.unique(weights[:, 0])) > 2


def test_lonely_labels_still_vary():
    weights = bootstrap.resample_weights([0, 1], ["a", "b"], 100, seed=0)
    assert set(np.unique(weights)) == {0.0, 1.0, 2.0}


def test_interval_covers_about_95_percent():
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        values = generator.normal(size=60)
        weights = bootstrap.resample_weights(range(60), ["x"] * 60, 300, seed=trial)
        low, high = bootstrap.interval(bootstrap.weighted_mean(weights, values)) or (0, 0)
        hits += low <= 0 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_macro_is_the_mean_of_class_means():
    values, classes = np.array([1, 1, 1, 0, np.nan]), ["sad", "sad", "sad", "angry", "happy"]
    ones = np.ones((1, 5))
    assert bootstrap.weighted_macro(ones, values, classes)[0] == pytest.approx(0.5)
    assert bootstrap.weighted_macro(ones, values, classes, minimum=3)[0] == pytest.approx(1.0)
    assert np.isnan(bootstrap.weighted_macro(ones, values, classes, minimum=9)[0])


def test_mean_without_values_is_undefined():
    assert bootstrap.interval(bootstrap.weighted_mean(np.ones((3, 2)), np.array([np.nan, np.nan]))) is None


def test_paired_difference_is_tighter_than_two_intervals():
    generator = np.random.default_rng(3)
    base = generator.normal(size=80)
    weights = bootstrap.resample_weights(range(80), ["x"] * 80, 500, seed=0)
    difference, low, high = bootstrap.paired_test(base + 0.1, base, weights)[:3]
    assert difference == pytest.approx(0.1) and low == pytest.approx(0.1) and high == pytest.approx(0.1)
    single = bootstrap.interval(bootstrap.weighted_mean(weights, base))
    assert single is not None and single[1] - single[0] > high - low


def test_paired_difference_by_classes():
    first, second = np.array([1.0, 1, 0, 0]), np.array([0.0, 1, 0, np.nan])
    weights = bootstrap.resample_weights(range(4), ["a", "a", "b", "b"], 50, seed=0)
    difference = bootstrap.paired_test(first, second, weights, ["a", "a", "b", "b"])[0]
    assert difference == pytest.approx(0.25)


def _weights(n: int, resamples: int = 400):
    return bootstrap.resample_weights(range(n), ["x"] * n, resamples, seed=0)


def test_p_value_agrees_with_the_interval():
    generator = np.random.default_rng(1)
    base, weights = generator.normal(size=80), _weights(80)
    sure = bootstrap.paired_test(base + 1 + 0.1 * generator.normal(size=80), base, weights)
    assert sure.low > 0 and sure.p == pytest.approx(2 / 401) and sure.n == 80
    none = bootstrap.paired_test(base, base, weights)
    assert (none.value, none.low, none.high, none.p) == (0, 0, 0, 1)
    assert np.isnan(bootstrap.paired_test(base * np.nan, base, weights).p)
    for shift in (0.1, 0.2, 0.3):
        noisy = bootstrap.paired_test(base + shift + generator.normal(size=80), base, weights)
        assert (noisy.low > 0 or noisy.high < 0) == (noisy.p < 0.05)


def test_p_values_of_no_difference_are_uniform():
    generator = np.random.default_rng(2)
    small = 0
    for trial in range(200):
        one, other = generator.normal(size=(2, 60))
        weights = bootstrap.resample_weights(range(60), ["x"] * 60, 300, seed=trial)
        small += bootstrap.paired_test(one, other, weights).p < 0.1
    assert 0.04 <= small / 200 <= 0.17


def test_holm_by_hand():
    adjusted = bootstrap.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": float("nan")})
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert adjusted["a"] == pytest.approx(0.03) and adjusted["c"] == pytest.approx(0.06)
    assert adjusted["b"] == pytest.approx(0.06)  # never smaller than one before it
    assert np.isnan(adjusted["d"])
    assert bootstrap.holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


def test_equal_coverage_compares_where_both_speak():
    # The first system is silent on half and never wrong there; where both speak, both are wrong equally often.
    asserted = np.tile([1.0, 1.0, 0.0, 0.0], 10)
    quiet, wordy = np.tile([1.0, 0.0, 0.0, 0.0], 10), np.tile([1.0, 0.0, 1.0, 1.0], 10)
    weights = _weights(40)
    assert bootstrap.paired_test(quiet, wordy, weights).value == pytest.approx(-0.5)
    both = bootstrap.at_equal_coverage(quiet, wordy, asserted, np.ones(40), weights)
    assert both.value == 0 and both.n == 20 and both.p == 1
    nowhere = bootstrap.at_equal_coverage(quiet, wordy, asserted, 1 - asserted, weights)
    assert np.isnan(nowhere.value) and nowhere.n == 0


def test_risk_at_equal_coverage_by_hand():
    # Coverage 0.5 and 1, risk 0.5 and 0.75: at coverage 0.5 the rates are 0.25 and 0.375.
    asserted = np.tile([1.0, 1.0, 0.0, 0.0], 10)
    quiet, wordy = np.tile([1.0, 0.0, 0.0, 0.0], 10), np.tile([1.0, 0.0, 1.0, 1.0], 10)
    found = bootstrap.risk_at_equal_coverage(quiet, wordy, asserted, np.ones(40), _weights(40))
    assert found.value == pytest.approx(-0.125) and found.low < -0.125 < found.high and found.n == 40
    # Saying less of the same kind gains nothing, although the plain rates differ.
    half = np.tile([1.0, 0.0, 1.0, 0.0], 10)
    same = bootstrap.risk_at_equal_coverage(quiet, half, asserted, np.ones(40), _weights(40))
    assert same.value == pytest.approx(0) and bootstrap.paired_test(quiet, half, _weights(40)).value < -0.2
    unknown = bootstrap.risk_at_equal_coverage(quiet * np.nan, wordy, asserted, np.ones(40), _weights(40))
    assert np.isnan(unknown.p) and unknown.n == 0
