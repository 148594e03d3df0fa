"""The parser's own table on made-up labels: hand-worked precision, recall, confusion and rank correlation."""

import pytest
from scipy.stats import spearmanr

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.evaluation.tables.parser import texts_by_language, write_parser_table

# caption, Chinese original, label, valence, arousal
ROWS = [
    ("She sounds furious.", "她很愤怒", "angry", "low", "high"),
    ("Angry and loud.", "生气，声音大", "angry", "low", "high"),
    ("A sad voice.", "声音悲伤", "angry", "low", "mid"),
    ("A sad, quiet voice.", "悲伤，声音小", "sad", "low", "low"),
    ("Full of joy.", "充满喜悦", "happy", "high", "high"),
    ("A man speaks.", "有人说话", "happy", "high", "mid"),
    ("Puzzled and curious.", "疑惑好奇", "other", "mid", "mid"),
    ("A worried tone.", "语气担心", "worried", "low", "mid"),
]


def references(folder, rows=ROWS, source="corpus", **without):
    made = [
        {
            "utterance_id": f"u{number}",
            "captions": [caption],
            "caption_group": original,
            "emotion": emotion,
            "intensity": None,
            "valence": valence,
            "arousal": arousal,
            "transcript": None,
        }
        | without
        for number, (caption, original, emotion, valence, arousal) in enumerate(rows)
    ]
    path = folder / f"{source}.parquet"
    artifacts.write(made, path, "labels", "test", {"caption_source": source})
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parser_table")
    sources = {"people": references(folder), "written": references(folder, source="grammar")}
    write_parser_table(Evaluation(bootstrap=50), sources, folder / "parser.parquet", folder / "parser.md")
    rows = artifacts.read_rows(folder / "parser.parquet", "parser")
    return rows, (folder / "parser.md").read_text()


def figures(rows, language="en"):
    return {(r["measure"], r["emotion"], r["parsed"]): r for r in rows if r["language"] == language}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_hand_worked_figures(written, language):
    at = figures(written[0], language)
    assert at["precision", "angry", ""]["value"] == 1.0
    assert at["recall", "angry", ""]["value"] == pytest.approx(2 / 3)
    assert at["f1", "angry", ""]["value"] == pytest.approx(0.8)
    assert at["precision", "sad", ""]["value"] == 0.5
    assert (at["support", "angry", ""]["value"], at["support", "fearful", ""]["value"]) == (3, 1)
    assert at["precision", "surprised", ""]["value"] is None  # 'other' is no class
    assert at["precision_with_other", "surprised", ""]["value"] == 0.0
    assert at["confusion", "angry", "sad"]["value"] == 1 and at["confusion", "happy", "none"]["value"] == 1
    assert at["confusion", "other", "surprised"]["value"] == 1
    assert at["accuracy", "all", ""]["value"] == pytest.approx(5 / 7) and at["accuracy", "all", ""]["n"] == 7
    assert at["coverage", "all", ""]["value"] == pytest.approx(6 / 7)
    assert at["macro_f1", "all", ""]["value"] == pytest.approx((0.8 + 2 / 3 + 2 / 3 + 1) / 4)
    low, value, high = (at["accuracy", "all", ""][name] for name in ("ci_low", "value", "ci_high"))
    assert low <= value <= high


def test_valence_and_arousal(written):
    at = figures(written[0])
    assert at["valence", "sad", ""]["value"] == -1.0 and at["arousal", "sad", ""]["value"] == -0.5
    assert at["valence", "none", ""]["value"] == 1.0
    # parsed: angry! angry sad sad happy surprised fearful, scored -1 -1 -1 -1 1 0 -1
    expected = spearmanr([-1, -1, -1, -1, 1, 0, -1], [-1, -1, -1, -1, 1, 0, -1]).statistic
    assert at["spearman_valence", "all", ""]["value"] == pytest.approx(expected)
    expected = spearmanr([1.5, 1, -1, -1, 0.5, 1, 1], [1, 1, 0, -1, 1, 0, 0]).statistic
    assert at["spearman_arousal", "all", ""]["value"] == pytest.approx(expected)
    assert at["spearman_arousal", "all", ""]["n"] == 7


def test_only_captions_of_people_are_measured(written):
    rows, page = written
    assert {row["corpus"] for row in rows} == {"people"}
    assert "## people, captions in 'zh'" in page and "| angry | 1.00" in page


def test_a_corpus_without_dimensions_has_no_such_rows(tmp_path):
    path = references(tmp_path, valence=None, arousal=None, caption_group=None)
    write_parser_table(Evaluation(bootstrap=10), {"c": path}, tmp_path / "p", tmp_path / "m")
    rows = artifacts.read_rows(tmp_path / "p", "parser")
    assert {row["language"] for row in rows} == {"en"}
    assert not {row["measure"] for row in rows} & {"valence", "arousal", "spearman_valence", "spearman_arousal"}


def test_a_caption_group_that_is_no_text_is_no_caption():
    row = {"utterance_id": "u", "captions": ["sad", "angry"], "caption_group": "group 7"}
    assert texts_by_language([row]) == {"en": {"u": "sad"}}
