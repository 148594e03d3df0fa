"""How like the training speech a clip sounds, and what follows for its probabilities."""

import numpy as np
import pytest

from aligncap.clues.tagger.familiarity import doubted, fit_familiarity
from aligncap.config import TaggerSettings

RNG = np.random.default_rng(0)
WIDTH, INNER = 60, 4
BASIS = RNG.normal(size=(INNER, WIDTH))
SETTINGS = TaggerSettings(measured=[])


def speech(n: int, offset: float = 0.0) -> np.ndarray:
    """Rows that vary in few directions, with a little noise; ``offset`` moves a corpus within these directions."""
    inner = RNG.normal(size=(n, INNER)) + offset
    return (inner @ BASIS + 0.3 * RNG.normal(size=(n, WIDTH))).astype(np.float32)


def known(rows: np.ndarray, folds: np.ndarray, settings: TaggerSettings = SETTINGS):
    return fit_familiarity(rows, folds, ["c"] * len(rows), settings, 0)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.concatenate([speech(80, offset) for offset in (-0.5, 0.0, 0.5)])


def standardised(rows: np.ndarray, like: np.ndarray) -> np.ndarray:
    return ((rows - like.mean(axis=0)) / like.std(axis=0)).astype(np.float32)


def test_a_new_corpus_of_the_same_kind_is_familiar_and_another_kind_is_not(rows: np.ndarray) -> None:
    found = known(rows, np.repeat([0, 1, 2], 80))
    new = found.of(standardised(speech(200, 0.2), rows))
    assert 0.3 < np.median(new) < 0.7 and (new < SETTINGS.unfamiliar).mean() < 0.1
    other = (speech(200) + 2 * RNG.normal(size=(200, WIDTH))).astype(np.float32)
    assert (found.of(standardised(other, rows)) < SETTINGS.unfamiliar).mean() > 0.99


def test_measured_columns_play_no_part(rows: np.ndarray) -> None:
    folds = np.repeat([0, 1, 2], 80)
    wide = np.concatenate([rows, 1e3 * RNG.normal(size=(len(rows), 1))], axis=1).astype(np.float32)
    both = [known(rows, folds), known(wide, folds, TaggerSettings(measured=["rate"]))]
    assert np.allclose(both[0].distances, both[1].distances)


def test_one_fold_alone_is_measured_on_itself(rows: np.ndarray) -> None:
    assert np.isfinite(known(rows, np.zeros(len(rows), np.int64)).distances).all()


@pytest.mark.parametrize(("familiar", "sure"), [(0.5, 0.9), (0.02, 0.9), (0.01, 0.7), (0.0, 0.5)])
def test_probabilities_of_unfamiliar_speech_are_nearer_to_even(familiar: float, sure: float) -> None:
    tags = doubted({"emotion": {"angry": 0.9, "sad": 0.1}}, familiar, 0.02)
    assert tags["emotion"]["angry"] == pytest.approx(sure) and sum(tags["emotion"].values()) == pytest.approx(1)


def test_nothing_is_doubted_where_the_config_says_so() -> None:
    assert doubted({"emotion": {"angry": 0.9, "sad": 0.1}}, 0.0, 0.0)["emotion"]["angry"] == 0.9
