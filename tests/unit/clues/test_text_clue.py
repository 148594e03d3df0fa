"""The text clue: prototypes, similarity, and how it joins the tagger."""

import numpy as np
import pytest

from aligncap.clues.prototypes import PROTOTYPES
from aligncap.clues.text_clue import TextClue, join
from aligncap.corpora.sentences import SENTENCES
from aligncap.vocabulary import CLASSES


class Own:
    """Embeds a prototype along its class's axis, every other sentence nowhere."""

    def encode(self, texts):
        """[n, 8]."""
        axes = {text: i for i, label in enumerate(CLASSES) for text in PROTOTYPES[label]}
        return np.stack([np.eye(8, dtype=np.float32)[axes.get(text, 7)] for text in texts])


def test_every_class_has_as_many_prototypes_and_none_is_a_sentence_of_the_synthetic_corpora():
    assert tuple(sorted(PROTOTYPES)) == tuple(sorted(CLASSES))
    assert len({len(own) for own in PROTOTYPES.values()}) == 1
    spoken = {text.lower() for texts in SENTENCES["en"].values() for text in texts}
    everything = [text for own in PROTOTYPES.values() for text in own]
    assert len(set(everything)) == len(everything) and not {text.lower() for text in everything} & spoken


def test_a_sentence_is_of_the_class_whose_prototypes_it_is_near():
    clue = TextClue(Own())
    texts = [PROTOTYPES[label][0] for label in CLASSES]
    assert [max(tags, key=tags.get) for tags in clue.tags(texts)] == list(CLASSES)


def test_silence_and_what_is_near_to_nothing_say_nothing():
    clue = TextClue(Own())
    found = clue.probabilities(["", "  ", "unheard of"])
    assert found == pytest.approx(np.full((3, 7), 1 / 7))
    assert clue.probabilities([]).shape == (0, 7)


def test_joining_multiplies_and_renormalises_over_the_tagger_s_labels():
    text = dict.fromkeys(CLASSES, 0.01) | {"angry": 0.64, "sad": 0.16}
    joined = join({"angry": 0.2, "sad": 0.8}, text, 0.5)
    assert joined == pytest.approx({"angry": 1 / 3, "sad": 2 / 3})  # 0.2 * 0.8 : 0.8 * 0.4
    assert join({"angry": 0.0, "sad": 1.0}, text, 1.0) == {"angry": 0.0, "sad": 1.0}
    assert join({"angry": 0.5, "sad": 0.5}, text, 5000.0) == pytest.approx({"angry": 1.0, "sad": 0.0})  # no underflow
