"""Prompts, the template sentence, clue swaps, and the rule parse_clues."""

import random
import subprocess
import sys

import pytest
from transformers import AutoTokenizer

from aligncap import artifacts
from aligncap.clues import prompts as module
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.clues.prompts import (
    acoustic_prompt,
    gold_clues,
    load_tokenizer,
    semantic_ids,
    swap_clue,
    template_caption,
    write_gold_clues,
)
from aligncap.config import ModelSource, Prompts
from aligncap.models.sources import fetch_model
from aligncap.vocabulary import CLASSES, SCALES, Clue


class Letters:
    """A tokenizer whose ids are code points."""

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": [ord(c) for c in text]}


def test_acoustic_prompt_names_what_is_known_in_a_fixed_order():
    clues = parse_clues("Slow, quiet and deeply sad, pausing often.")
    assert acoustic_prompt(clues) == "Emotion: sad. Intensity: strong. Level: low. Rate: slow. Pause: many."
    assert acoustic_prompt([]) == ""


def test_acoustic_prompt_leaves_out_denied_and_mid():
    assert acoustic_prompt(parse_clues("not angry, at a moderate pace")) == ""


def test_acoustic_prompt_puts_the_dominant_emotion_first():
    assert acoustic_prompt(parse_clues("calm on the surface, but furious")).startswith("Emotion: angry, calm.")


@pytest.mark.parametrize("emotion", [None, *CLASSES])
@pytest.mark.parametrize("level", [None, *SCALES["level"]])
@pytest.mark.parametrize("rate", [None, *SCALES["rate"]])
def test_template_says_what_the_clues_say_and_nothing_else(emotion, level, rate):
    clues = [Clue(k, v, v) for k, v in (("emotion", emotion), ("level", level), ("rate", rate)) if v]
    caption = template_caption(clues)
    assert caption.endswith(".") and dominant_emotion(caption) == emotion
    said = {(c.kind, c.lemma) for c in parse_clues(caption) if c.kind in SCALES}
    assert said == {(c.kind, c.lemma) for c in clues if c.kind in SCALES and c.lemma != "mid"}


def test_template_sentence():
    clues = [
        Clue(k, v, v) for k, v in (("emotion", "sad"), ("intensity", "strong"), ("level", "low"), ("pitch", "low"))
    ]
    assert template_caption(clues) == "The speaker sounds very sad, with a quiet, low-pitched voice."


@pytest.mark.parametrize("seed", range(10))
def test_swap_contradicts_exactly_one_kind(seed):
    caption = "An angry voice, loud and fast."
    swapped = swap_clue(caption, random.Random(seed))
    before, after = (
        {"emotion": {dominant_emotion(text)}} | {k: {c.lemma for c in parse_clues(text) if c.kind == k} for k in SCALES}
        for text in (caption, swapped)
    )
    assert sum(before[k] != after[k] for k in before) == 1


def test_swap_keeps_case_and_article():
    for seed in range(20):
        swapped = swap_clue("She sounds like an angry person.", random.Random(seed))
        assert " a angry" not in swapped and " an happy" not in swapped and " an sad" not in swapped
    assert swap_clue("Loud.", random.Random(0)) == "Quiet."


def test_swap_without_a_clue_is_none():
    assert swap_clue("A person speaks.", random.Random(0)) is None


def test_swap_is_drawn_from_the_generator():
    caption = "A sad, slow, quiet voice."
    assert swap_clue(caption, random.Random(3)) == swap_clue(caption, random.Random(3))
    drawn = {swap_clue(caption, random.Random(seed)) for seed in range(60)}
    assert len({dominant_emotion(text) for text in drawn}) > 3 and any("sad" in text for text in drawn)


def test_semantic_ids_are_cut_and_carry_no_special_tokens():
    assert semantic_ids(Letters(), " a  b c", 3) == [97, 32, 98]
    assert semantic_ids(Letters(), "  ", 3) == []


def test_gold_clues_are_those_of_every_caption_once():
    clues = gold_clues(["The speaker sounds very sad, speaking slowly.", "A quiet, slightly sad voice.", "not sad"])
    assert acoustic_prompt(clues) == "Emotion: sad. Intensity: strong. Level: low. Rate: slow."
    assert [(c.lemma, c.negated) for c in clues if c.kind == "emotion"] == [("sad", False), ("sad", True)]


def test_gold_clues_have_a_row_for_every_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_tokenizer", lambda manifest: Letters())
    empty = dict.fromkeys(["caption_group", "emotion", "intensity", "valence", "arousal", "transcript"])
    references = [
        {"utterance_id": "a", "captions": ["very sad", "happy"], **empty},
        {"utterance_id": "b", "captions": [], **empty},
    ]
    artifacts.write(references, tmp_path / "references.parquet", "labels", "test")
    said = {"utterance_id": "a", "transcript": "hi", "language": "en", "source": "asr", "avg_logprob": -0.1}
    artifacts.write([said], tmp_path / "transcripts.parquet", "transcripts", "test")
    out = tmp_path / "gold.parquet"
    write_gold_clues(
        Prompts(), tmp_path / "references.parquet", tmp_path / "transcripts.parquet", tmp_path / "manifest.json", out
    )
    rows = artifacts.read_rows(out, "clues")
    assert [r["p_act"] for r in rows] == ["Emotion: sad, happy. Intensity: strong.", ""]
    assert [r["p_sem_ids"] for r in rows] == [[104, 105], []]


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2"])
def test_the_tokenizer_of_p_sem_is_the_one_that_the_llm_is_loaded_with(family, tmp_path):
    manifest = tmp_path / "tiny" / "manifest.json"
    fetch_model(ModelSource(name="tiny", files=(f"random:{family}",)), manifest)
    own, auto = load_tokenizer(manifest), AutoTokenizer.from_pretrained(str(manifest.parent))
    assert type(own) is type(auto)
    assert own.backend_tokenizer.to_str() == auto.backend_tokenizer.to_str()
    assert own("ask, ünd", add_special_tokens=False) == auto("ask, ünd", add_special_tokens=False)


def test_the_tokenizer_of_the_embedded_family_is_loaded_without_torch(tiny_llm):
    code = "import sys; from aligncap.clues.prompts import load_tokenizer; load_tokenizer(sys.argv[1])"
    line = [sys.executable, "-c", f"{code}; print('torch' in sys.modules)", str(tiny_llm)]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip() == "False"
