"""Fitting the tagger's heads: out of fold, temperatures and priors, on numbers made up."""

import numpy as np
import pytest

from aligncap.clues.tagger.heads import fit_temperature, out_of_fold, softmax
from aligncap.config import TaggerSettings as Settings

EMOTIONS = ("angry", "happy", "sad")


def test_a_memorisable_random_label_is_predicted_at_chance_out_of_fold():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(240, 400)).astype(np.float32)  # more dimensions than clips: any label can be memorised
    labels = list(rng.choice(EMOTIONS, 240))
    found = out_of_fold(rows, {"emotion": labels}, np.arange(240) % 5, ["c"] * 240, Settings(l2=1.0), 0)
    probabilities, names = found.probabilities("emotion"), found.labels["emotion"]
    right = [names[p.argmax()] == label for p, label in zip(probabilities, labels, strict=True)]
    assert np.mean(right) < 0.45
    assert probabilities.max(axis=1).mean() < 0.45  # and the calibration knows it


def test_a_fold_without_labels_elsewhere_is_not_predicted():
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    labels = ["normal", "strong"] * 10 + [""] * 20
    folds = np.array([0] * 20 + [1] * 20)
    found = out_of_fold(rows, {"intensity": labels}, folds, ["c"] * 40, Settings(), 0)
    probabilities = found.probabilities("intensity")
    assert np.isnan(probabilities[:20]).all() and not np.isnan(probabilities[20:]).any()
    assert len(found.scored("intensity", labels)) == 0  # what has a label has no prediction


def test_a_label_absent_from_the_training_folds_has_probability_zero():
    rows = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    labels = ["angry", "happy"] * 20 + ["sad"] * 20
    folds = np.array([0] * 20 + [1] * 20 + [2] * 20)
    found = out_of_fold(rows, {"emotion": labels}, folds, ["c"] * 60, Settings(), 0)
    assert (found.probabilities("emotion")[40:, found.labels["emotion"].index("sad")] == 0).all()
    assert np.allclose(found.probabilities("emotion").sum(axis=1), 1)


def test_temperature_recovers_the_scale_of_the_logits():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 3)) * 2
    wanted = np.array([rng.choice(3, p=p) for p in softmax(logits)])
    assert fit_temperature(logits * 4, wanted) == pytest.approx(4, rel=0.1)


def test_a_uniform_prior_counts_every_class_alike():
    logits = np.tile([[1.0, 0.0]], (100, 1))  # always the first, which is right 90 times of 100
    wanted = np.array([0] * 90 + [1] * 10)
    natural, uniform = (
        softmax(logits / fit_temperature(logits, wanted, prior))[0, 0] for prior in ("train", "uniform")
    )
    assert natural == pytest.approx(0.9, abs=0.01) and uniform < 0.53


@pytest.mark.parametrize(("prior", "rare"), [("train", 0.2), ("uniform", 0.4)])
def test_the_prior_of_the_heads_is_the_corpus_s_or_uniform(prior, rare):
    rng = np.random.default_rng(0)
    labels = [("angry", "angry", "angry", "sad")[i % 4] for i in range(400)]
    found = out_of_fold(
        rng.normal(size=(400, 4)).astype(np.float32),  # nothing to hear: the prior is all there is
        {"emotion": labels},
        np.arange(400) // 4 % 5,
        ["c"] * 400,
        Settings(prior=prior, l2=0.001),
        0,
    )
    sad = softmax(found.logits["emotion"])[:, found.labels["emotion"].index("sad")].mean()
    assert rare < sad < rare + 0.15


def test_the_speaker_s_own_statistics_undo_what_a_speaker_adds_to_every_clip():
    rng = np.random.default_rng(0)
    labels = [EMOTIONS[i % 3] for i in range(180)]
    speakers = [f"c/speaker {i // 18}" for i in range(180)]
    rows = rng.normal(size=(180, 12)).astype(np.float32)
    for i, label in enumerate(labels):
        rows[i, EMOTIONS.index(label)] += 2
        rows[i, :3] += 8 * np.random.default_rng(i // 18).normal(size=3)

    def accuracy(normalise):
        settings = Settings(normalise=normalise, measured=[], l2=1.0)
        found = out_of_fold(rows, {"emotion": labels}, np.arange(180) // 18, speakers, settings, 0)
        names = found.labels["emotion"]
        return np.mean([names[z.argmax()] == t for z, t in zip(found.logits["emotion"], labels, strict=True)])

    assert accuracy("speaker") > 0.8 > 0.6 > accuracy("train")
