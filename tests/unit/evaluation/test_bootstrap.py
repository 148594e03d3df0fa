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
    difference, low, high = bootstrap.paired_difference(base + 0.1, base, weights)
    assert difference == pytest.approx(0.1) and low == pytest.approx(0.1) and high == pytest.approx(0.1)
    single = bootstrap.interval(bootstrap.weighted_mean(weights, base))
    assert single is not None and single[1] - single[0] > high - low


def test_paired_difference_by_classes():
    first, second = np.array([1.0, 1, 0, 0]), np.array([0.0, 1, 0, np.nan])
    weights = bootstrap.resample_weights(range(4), ["a", "a", "b", "b"], 50, seed=0)
    difference, _, _ = bootstrap.paired_difference(first, second, weights, ["a", "a", "b", "b"])
    assert difference == pytest.approx(0.25)
