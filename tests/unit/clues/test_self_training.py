"""Self-training of the tagger: what audio without labels teaches, and what it must not."""

import numpy as np
from test_tagger import by_features, clips, train, trained  # noqa: F401

from aligncap.clues.tagger.heads import fit_heads
from aligncap.clues.tagger.model import Tagger
from aligncap.clues.tagger.self_training import fit_with_unlabelled, surest
from aligncap.vocabulary import SCALES

CLASSES = ("angry", "sad")


def rounds(number):
    return by_features(self_training={"rounds": number, "keep": 0.5})


def two_corpora(seed=0):
    """Labelled clips tell the class by the first dimension; unlabelled ones hardly by it, and well by the second."""
    rng = np.random.default_rng(seed)
    labels = [CLASSES[i % 2] for i in range(400)]
    sign = np.array([1.0 if label == "angry" else -1.0 for label in labels])
    labelled, unlabelled = rng.normal(size=(2, 400, 6))
    labelled[:, 0] += 2 * sign
    unlabelled[:, 0] += 0.8 * sign
    unlabelled[:, 1] += 3 * sign
    return labelled.astype(np.float32), unlabelled.astype(np.float32), labels


def accuracy(head, rows, labels):
    return np.mean([head.labels[i] == label for i, label in zip(head.logits(rows).argmax(axis=1), labels, strict=True)])


def test_pseudo_labels_find_what_tells_the_classes_apart_in_the_new_corpus():
    labelled, unlabelled, labels = two_corpora()
    targets, unknown = {"emotion": labels}, {"emotion": [""] * 400}

    def hits(number):
        head = fit_with_unlabelled(labelled, targets, unlabelled, unknown, rounds(number), 0)["emotion"]
        return accuracy(head, unlabelled, labels)

    assert hits(0) == accuracy(fit_heads(labelled, targets, rounds(0), 0)["emotion"], unlabelled, labels)
    assert hits(3) > hits(0) + 0.04


def test_what_is_measured_on_the_unlabelled_clips_needs_no_pseudo_label():
    labelled, unlabelled, labels = two_corpora()
    high = ["high" if row[2] > 0 else "low" for row in unlabelled]
    wrong = ["low" if row[2] > 0 else "high" for row in labelled[:40]] + [""] * 360
    targets = {"emotion": labels, "level": wrong}
    measured = {"emotion": [""] * 400, "level": high}
    found = fit_with_unlabelled(labelled, targets, unlabelled, measured, rounds(1), 0)
    assert accuracy(found["level"], unlabelled, high) > 0.9


def test_the_surest_share_is_taken_of_every_predicted_class():
    sure = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4], [0.45, 0.55], [0.49, 0.51]])
    assert surest(sure, 0.5).tolist() == [True, True, False, False, True, False]
    assert surest(sure, 1.0).all()


def test_a_new_microphone_is_learnt_from_what_is_measured_on_its_clips(trained, monkeypatch):  # noqa: F811
    folder, features, _ = trained  # whose level is told by the dimension of its emotion
    shifted, _ = clips(60, seed=1)
    order = [2, 0, 1, *range(3, 8)]  # at the new microphone another dimension tells it
    shifted = {key: value[:, :, order] for key, value in shifted.items()}
    tables = {"c": features, "d": features, "u": shifted}
    monkeypatch.setattr("aligncap.speech.features.load_features", lambda path: tables[path.name])
    wanted = [SCALES["level"][i % 3] for i in range(60)]

    def hits(heard):
        train(folder, by_features(), heard, {name: folder / name for name in "cd"})
        tagger = Tagger.load(folder / "tagger.safetensors")
        said = [max(t := tagger.predict(value, {})["level"], key=t.get) for value in shifted.values()]
        return np.mean([a == b for a, b in zip(said, wanted, strict=True)])

    own = {f"heard_{name}": {"u": folder / f"{name}.parquet"} for name in ("audio", "prosody", "timbre")}
    assert hits(None) < 0.1
    assert hits({"heard_features": {"u": folder / "u"}, **own}) > hits(None) + 0.2
