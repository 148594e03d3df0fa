"""Sentence embeddings."""

from pathlib import Path

import numpy as np
import pytest

from aligncap.config import ModelSource
from aligncap.models.sentence_encoder import SentenceEncoder
from aligncap.models.sources import fetch_model

REAL = Path(__file__).parents[2] / "models" / "all-minilm-l6-v2"


@pytest.fixture
def encoder(tmp_path):
    tiny = ModelSource(name="tiny-bert", files=("random:bert",), format="sentence_transformers")
    fetch_model(tiny, tmp_path / "tiny-bert" / "manifest.json")
    return SentenceEncoder(tmp_path / "tiny-bert")


def test_vectors_are_of_norm_one_and_do_not_depend_on_the_batch(encoder):
    texts = ["She sounds sad.", "He is furious and shouts at everyone who is near him.", "x"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (3, 32) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(texts[:1])[0], vectors[0], atol=1e-5)
    assert encoder.encode([]).shape == (0, 32)


def test_a_text_without_a_token_is_zeros(encoder):
    vectors = encoder.encode(["", "She sounds sad.", "  "])
    assert not vectors[[0, 2]].any()
    np.testing.assert_allclose(vectors[1], encoder.encode(["She sounds sad."])[0], atol=1e-6)
    assert not encoder.encode([""]).any()


@pytest.mark.models
@pytest.mark.skipif(not REAL.is_dir(), reason="models/all-minilm-l6-v2 has not been fetched")
def test_like_sentences_are_near():
    sad, grieving, furious = SentenceEncoder(REAL).encode(["She sounds sad.", "She is grieving.", "A loud engine."])
    assert sad @ grieving > sad @ furious + 0.2
