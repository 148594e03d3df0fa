"""Roles and folds: whole speakers, right shares, nothing twice."""

import pandas as pd
import pytest
from audio_rows import audio_row

from aligncap import artifacts
from aligncap.config import Splits, TaggerSettings
from aligncap.errors import CorpusError
from aligncap.training.plan import plan_training


def write_corpus(folder, name, speakers, clips=10, caption=None):
    audio, references = [], []
    for s in range(speakers):
        for c in range(clips):
            utterance = f"{name}-{s}-{c}"
            audio.append(audio_row(utterance, speaker="" if caption else f"s{s}"))
            references.append(
                dict(utterance_id=utterance, captions=[caption(s) if caption else "x"], caption_group=None,
                     emotion=None, intensity=None, valence=None, arousal=None, transcript=None)
            )  # fmt: skip
    artifacts.write(audio, folder / f"{name}-audio.parquet", "audio", "test")
    artifacts.write(references, folder / f"{name}-references.parquet", "labels", "test")
    return folder / f"{name}-audio.parquet", folder / f"{name}-references.parquet"


def plan(tmp_path, corpora, splits=None, tagger=None, seed=0) -> pd.DataFrame:
    paths = {name: write_corpus(tmp_path, name, **shape) for name, shape in corpora.items()}
    out = tmp_path / "plan.parquet"
    plan_training(splits or Splits(), tagger or TaggerSettings(), seed, {n: p[0] for n, p in paths.items()},
                  {n: p[1] for n, p in paths.items()}, out)  # fmt: skip
    return artifacts.read(out, "plan")


def test_speakers_are_whole_and_shares_hold(tmp_path):
    table = plan(tmp_path, {"a": {"speakers": 20}, "b": {"speakers": 10}})
    assert len(table) == 300 and not table.duplicated(["corpus", "utterance_id"]).any()
    assert (table.groupby("speaker_key").role.nunique() == 1).all()
    assert (table.groupby("speaker_key").fold.nunique() == 1).all()
    shares = table.groupby(["corpus", "role"]).size().unstack() / table.groupby("corpus").size().to_numpy()[:, None]
    assert shares["dev"].tolist() == pytest.approx([0.1, 0.1])
    assert shares["preference"].tolist() == pytest.approx([0.2, 0.2])
    assert shares["align"].tolist() == pytest.approx([0.5, 0.5])


def test_without_speakers_a_caption_is_never_on_both_sides(tmp_path):
    table = plan(tmp_path, {"a": {"speakers": 12, "caption": lambda s: f"caption {s}"}})
    assert table.speaker_key.nunique() == 12
    assert (table.groupby("speaker_key").role.nunique() == 1).all()


def test_folds_by_corpus_leave_one_corpus_out(tmp_path):
    table = plan(tmp_path, {"a": {"speakers": 5}, "b": {"speakers": 5}}, tagger=TaggerSettings(folds="corpus"))
    assert (table.groupby("corpus").fold.nunique() == 1).all() and table.fold.nunique() == 2


def test_the_seed_draws_the_plan(tmp_path):
    first, same, other = (plan(tmp_path, {"a": {"speakers": 20}}, seed=s) for s in (0, 0, 1))
    assert first.equals(same) and not first.equals(other)


def test_too_few_speakers_and_single_folds_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="3 speakers"):
        plan(tmp_path, {"a": {"speakers": 3}})
    with pytest.raises(CorpusError, match="one fold only"):
        plan(tmp_path, {"a": {"speakers": 6}}, tagger=TaggerSettings(folds="corpus"))


def test_a_corpus_kept_for_preference_aligns_nothing_and_is_a_fold_of_its_own(tmp_path):
    corpora = {"a": {"speakers": 10}, "b": {"speakers": 10}}
    table = plan(tmp_path, corpora, splits=Splits(preference_corpora=("b",)))
    roles = {corpus: set(own.role) for corpus, own in table.groupby("corpus")}
    assert roles == {"a": {"align", "adapt", "dev"}, "b": {"preference", "dev"}}
    folds = {corpus: set(own.fold) for corpus, own in table.groupby("corpus")}
    assert len(folds["b"]) == 1 and len(folds["a"]) == TaggerSettings().n_folds and not folds["a"] & folds["b"]
    for wrong in (("a", "b"), ("c",)):
        with pytest.raises(CorpusError, match="some, not all, of the training corpora a, b"):
            plan(tmp_path, corpora, splits=Splits(preference_corpora=wrong))
