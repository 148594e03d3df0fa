"""Bootstrap: what is drawn together, what stays fixed, what an interval covers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

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


def test_a_moved_interval_holds_its_value():
    samples = np.linspace(-0.1, 0.1, 201)
    for value, low in ((-0.05, -0.145), (0.05, 0.0), (0.5, 0.405)):
        found = bootstrap.moved(value, 0.0, samples, 9)
        assert found["ci_low"] == pytest.approx(low) and found["ci_low"] <= value <= found["ci_high"]


def test_mean_without_values_is_undefined():
    assert bootstrap.interval(bootstrap.weighted_mean(np.ones((3, 2)), np.array([np.nan, np.nan]))) is None


def _weights(n: int, resamples: int = 400, seed: int = 0):
    return bootstrap.resample_weights(range(n), ["x"] * n, resamples, seed=seed)


def _differences(first, second, weights):
    return bootstrap.weighted_mean(weights, first) - bootstrap.weighted_mean(weights, second)


def test_paired_difference_is_tighter_than_two_intervals():
    base, weights = np.random.default_rng(3).normal(size=80), _weights(80)
    low, high = bootstrap.interval(_differences(base + 0.1, base, weights))
    assert (low, high) == pytest.approx((0.1, 0.1))
    single = bootstrap.interval(bootstrap.weighted_mean(weights, base))
    assert single is not None and single[1] - single[0] > high - low


def test_p_value_agrees_with_the_interval():
    generator = np.random.default_rng(1)
    base, weights = generator.normal(size=80), _weights(80)
    sure = _differences(base + 1 + 0.1 * generator.normal(size=80), base, weights)
    assert bootstrap.interval(sure)[0] > 0 and bootstrap.p_value(sure) == pytest.approx(2 / 401)
    assert bootstrap.p_value(_differences(base, base, weights)) == 1
    assert np.isnan(bootstrap.p_value(_differences(base * np.nan, base, weights)))
    for shift in (0.1, 0.2, 0.3):
        noisy = _differences(base + shift + generator.normal(size=80), base, weights)
        low, high = bootstrap.interval(noisy)
        assert (low > 0 or high < 0) == (bootstrap.p_value(noisy) < 0.05)


def test_p_values_of_no_difference_are_uniform():
    generator = np.random.default_rng(2)
    small = 0
    for trial in range(200):
        one, other = generator.normal(size=(2, 60))
        small += bootstrap.p_value(_differences(one, other, _weights(60, 300, trial))) < 0.1
    assert 0.04 <= small / 200 <= 0.17


def test_holm_by_hand():
    adjusted = bootstrap.holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": float("nan")})
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert adjusted["a"] == pytest.approx(0.03) and adjusted["c"] == pytest.approx(0.06)
    assert adjusted["b"] == pytest.approx(0.06)  # never smaller than one before it
    assert np.isnan(adjusted["d"])
    assert bootstrap.holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


def test_weighted_spearman_is_scipys():
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 4, 40).astype(float), generator.integers(0, 3, 40).astype(float)
    weights = generator.multinomial(40, np.full(40, 1 / 40), size=5).astype(float)
    got = bootstrap.weighted_spearman(weights, first, second)
    for row, value in zip(weights, got, strict=True):
        times = row.astype(int)
        assert value == pytest.approx(spearmanr(np.repeat(first, times), np.repeat(second, times)).statistic)
    assert np.isnan(bootstrap.weighted_spearman(weights, np.ones(40), second)).all()
    first[0] = np.nan
    assert bootstrap.weighted_spearman(np.ones((1, 40)), first, second)[0] == pytest.approx(
        spearmanr(first[1:], second[1:]).statistic
    )
