import json
import random
from collections import Counter
from pathlib import Path

import pytest
from audio_rows import audio_row

from aligncap import artifacts
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.config import Corpus
from aligncap.corpora.caption_grammar import CaptionContent, emotions, write_caption
from aligncap.corpora.captions import BankCaption, deal_captions, write_from_grammar, write_references
from aligncap.corpora.synthetic import plan_clips
from aligncap.corpora.wording import GRAMMARS
from aligncap.errors import CorpusError
from aligncap.vocabulary import EMOTIONS, SCALES, canonical


def some_facts(grammar: str, number: int) -> list[CaptionContent]:
    generator = random.Random(number)
    timbres = (None,) if grammar == "labels" else (None, "trembling", "harsh", "breathy")
    return [
        CaptionContent(
            generator.choice(emotions(grammar)),
            generator.choice(("weak", "normal", "strong")),
            timbre=generator.choice(timbres),
            **{kind: generator.choice(values) for kind, values in SCALES.items()},
        )
        for _ in range(number)
    ]


@pytest.mark.parametrize("grammar", sorted(GRAMMARS))
def test_captions_are_short_sentences(grammar: str) -> None:
    generator = random.Random(0)
    captions = [write_caption(facts, grammar, generator) for facts in some_facts(grammar, 300)]
    for caption in captions:
        assert 5 <= len(caption.split()) <= 16, caption
        assert caption[0].isupper() and caption.endswith("."), caption
        assert not any(mark in caption for mark in ("  ", "{", "}", "a(n)", " ,", "..")), caption
    assert len(set(captions)) > 250
    assert Counter(captions).most_common(1)[0][1] <= 9


@pytest.mark.parametrize("grammar", sorted(GRAMMARS))
def test_captions_say_what_is_known_and_nothing_else(grammar: str) -> None:
    generator = random.Random(0)
    for facts in some_facts(grammar, 150):
        caption = write_caption(facts, grammar, generator)
        assert dominant_emotion(caption) == canonical(facts.emotion), caption
        for clue in parse_clues(caption):
            if clue.kind in ("pitch", "rate"):
                assert clue.lemma == getattr(facts, clue.kind), caption


def test_middle_values_are_not_mentioned() -> None:
    generator = random.Random(0)
    facts = CaptionContent("sad", level="mid", pitch="mid", rate="mid")
    kinds = {clue.kind for _ in range(50) for clue in parse_clues(write_caption(facts, "labels", generator))}
    assert kinds <= {"emotion", "intensity"}


def test_label_grammar_has_words_for_every_label() -> None:
    assert set(emotions("labels")) == set(EMOTIONS)


def test_styles_share_few_captions() -> None:
    cfg = {"adapter": "synthetic", "role": "train", "language": "en", "clips": 140, "voices": ("en-us+f1",)}
    written = {}
    for style in ("a", "b"):
        plans = plan_clips(Corpus(**cfg, style=style), 0)
        written[style] = {write_caption(plan.facts, style, random.Random(plan.number)) for plan in plans}
        assert len(written[style]) > 110
    assert not written["a"] & written["b"]


def test_a_grammar_caption_does_not_depend_on_other_clips() -> None:
    facts = {"u1": CaptionContent("angry", level="high"), "u2": CaptionContent("sad")}
    both = write_from_grammar(facts, 3, seed=0)
    alone = write_from_grammar({"u2": facts["u2"]}, 3, seed=0)
    assert both["u2"] == alone["u2"]
    assert len(set(both["u2"])) == 3


def test_bank_captions_fit_and_are_spread() -> None:
    bank = [BankCaption(f"any {n}", "sad", "normal", "any", "any", "any") for n in range(3)]
    bank += [BankCaption("quiet", "sad", "normal", "low", "any", "any")]
    bank += [BankCaption("strong", "sad", "strong", "any", "any", "any")]
    facts = {
        str(n): CaptionContent("sad", level="low" if n < 4 else "high", pitch="mid", rate="mid") for n in range(16)
    }
    dealt = deal_captions(facts, bank, 1, 0, "bank")
    used = Counter(caption for captions in dealt.values() for caption in captions)
    assert set(used) == {"any 0", "any 1", "any 2", "quiet"}
    assert max(used[f"any {n}"] for n in range(3)) - min(used[f"any {n}"] for n in range(3)) <= 1
    assert all(dealt[str(n)] != ["quiet"] for n in range(4, 16))


def test_a_text_that_stands_in_the_bank_twice_comes_once() -> None:
    rows = [("He sounds sad.", "any"), ("He sounds sad.", "low"), ("A sad voice.", "any")]
    bank = [BankCaption(text, "sad", "any", level, "any", "any") for text, level in rows]
    facts = {str(n): CaptionContent("sad", level="low", pitch="mid", rate="mid") for n in range(4)}
    dealt = deal_captions(facts, bank, 2, 0, "bank")
    assert all(sorted(texts) == ["A sad voice.", "He sounds sad."] for texts in dealt.values())
    with pytest.raises(CorpusError, match="2 captions fit .*, 3 are needed"):
        deal_captions(facts, bank, 3, 0, "bank")


def test_a_bank_that_fits_nothing_is_an_error() -> None:
    with pytest.raises(CorpusError, match="0 captions fit u"):
        deal_captions(
            {"u": CaptionContent("sad")}, [BankCaption("x", "happy", "any", "any", "any", "any")], 1, 0, "bank"
        )


@pytest.fixture
def corpus_files(tmp_path: Path) -> Path:
    rows = [("u1", [], "angry", "strong", "high"), ("u2", [], "calm", None, "low")]
    empty = {"caption_group": None, "valence": None, "arousal": None, "transcript": None}
    figures = {"pitch_hz": None, "pitch_range_st": None, "level_db": 0.0, "rate_hz": 0.0}
    artifacts.write([audio_row(r[0]) for r in rows], tmp_path / "audio", "audio", "t")
    artifacts.write(
        [{"utterance_id": r[0], "captions": r[1], "emotion": r[2], "intensity": r[3], **empty} for r in rows],
        tmp_path / "labels",
        "labels",
        "t",
    )
    artifacts.write(
        [{"utterance_id": r[0], **figures, "pitch": "mid", "level": r[4], "rate": "mid"} for r in rows],
        tmp_path / "prosody",
        "prosody",
        "t",
    )
    return tmp_path


def references(folder: Path, **captions: object) -> list[dict]:
    cfg = Corpus(adapter="ravdess", role="train", root="x", captions=captions)
    inputs = (folder / "audio", folder / "labels", folder / "prosody")
    write_references(cfg, *inputs, folder / "references", folder / "skipped", "write_references")
    return artifacts.read_rows(folder / "references", "labels")


def test_references_of_labels_only_come_from_the_grammar(corpus_files: Path) -> None:
    rows = references(corpus_files, per_utterance=2)
    assert [len(row["captions"]) for row in rows] == [2, 2]
    assert dominant_emotion(rows[0]["captions"][0]) == "angry"
    assert dominant_emotion(rows[1]["captions"][0]) == "neutral"


def test_references_from_a_bank(corpus_files: Path) -> None:
    bank = corpus_files / "bank.jsonl"
    scales = {"level": "any", "pitch": "any", "rate": "any"}
    entries = [
        {"caption": "Very cross.", "emotion": "angry", "intensity": "strong", **scales},
        {"caption": "At ease.", "emotion": "calm", "intensity": "normal", **scales},
    ]
    bank.write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    rows = references(corpus_files, source="bank", bank=str(bank))
    assert [row["captions"] for row in rows] == [["Very cross."], ["At ease."]]
    assert artifacts.read_rows(corpus_files / "skipped", "skipped") == []
    bank.write_text(json.dumps(entries[0] | {"level": "loud"}), encoding="utf-8")
    with pytest.raises(CorpusError, match="0 captions fit u"):
        references(corpus_files, source="bank", bank=str(bank))


def test_own_captions_that_are_not_there_are_an_error(corpus_files: Path) -> None:
    with pytest.raises(CorpusError, match="u1 has no caption"):
        references(corpus_files, source="corpus")


def test_a_clip_without_a_label_keeps_its_own_caption(corpus_files: Path) -> None:
    rows = artifacts.read_rows(corpus_files / "labels", "labels")
    rows[0] |= {"captions": ["Her own words."], "emotion": "other"}
    rows[1] |= {"captions": ["His own words."]}
    artifacts.write(rows, corpus_files / "labels", "labels", "t")
    captions = [row["captions"] for row in references(corpus_files, source="grammar")]
    assert captions[0] == ["Her own words."]
    assert dominant_emotion(captions[1][0]) == "neutral"
    assert captions[1] != ["His own words."]
