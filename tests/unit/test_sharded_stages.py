"""Every stage that is made in shards: the gathered artifact is that of one job, for any number of shards.

The models are random and tiny, and blocks are short, so that few utterances are many blocks.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from audio_rows import audio_row
from more_inputs import more

from aligncap import artifacts
from aligncap.alignment.teacher import LogitsInputs, LogitsSettings, write_teacher_logits
from aligncap.artifacts import WHOLE, Shard
from aligncap.captioner.caption import CaptioningInputs, caption_testset
from aligncap.captioner.checkpoint import CheckpointPaths, build_model, save_checkpoint
from aligncap.config import (
    AdapterSettings,
    Candidates,
    Compute,
    Decoding,
    Features,
    Judge,
    Lora,
    ModelSource,
    Prompts,
    Teacher,
    Transcripts,
)
from aligncap.errors import AudioError, JudgeError
from aligncap.models.sources import fetch_model, model_folder
from aligncap.preference.candidates import CandidateSettings, ParentInputs, sample_candidates
from aligncap.preference.judges import CandidateScoringInputs, score_candidates
from aligncap.speech.asr import TranscriptInputs, TranscriptSettings, write_transcripts
from aligncap.speech.features import extract_features
from aligncap.training.data import TrainingInputs

COMPUTE = Compute(precision="fp32", device="cpu", threads=1)
ADAPTER, LORA = AdapterSettings(width=16, heads=2, queries=2, layers=1), Lora(rank=2, alpha=4)
COUNTS = (1, 2, 3, 7, 13)
UTTERANCES, BLOCK = 30, 4
LAYERS, DIM = 2, 8
Stage = Callable[[Path, Shard], None]


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "BLOCK", BLOCK)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Manifests of random models."""
    found = {}
    for family in ("whisper", "bert", "llama"):
        found[family] = tmp_path_factory.mktemp("models") / family / "manifest.json"
        fetch_model(ModelSource(name=family, files=(f"random:{family}",)), found[family])
    return found


def agree(stage: Stage, folder: Path, counts: tuple[int, ...] = COUNTS) -> Path:
    """Make an artifact by one job, and by shards; it has the same bytes. Returns it."""
    stage(folder / "whole.parquet", WHOLE)
    for count in counts:
        parts = [folder / f"{number}-of-{count}.parquet" for number in range(1, count + 1)]
        for number, part in enumerate(parts, start=1):
            stage(part, Shard(number, count))
        artifacts.gather(parts, folder / "gathered.parquet")
        assert (folder / "gathered.parquet").read_bytes() == (folder / "whole.parquet").read_bytes(), count
    return folder / "whole.parquet"


def write_clips(folder: Path, count: int) -> Path:
    import soundfile

    rows = []
    for number in range(count):
        generator = np.random.default_rng(number)
        samples = (0.1 * generator.normal(size=2_000 + 1_700 * (number * 5 % 7))).astype(np.float32)
        path = folder / f"u{number}.wav"
        soundfile.write(path, samples, 16_000, subtype="FLOAT")
        rows.append(audio_row(f"u{number}", path, len(samples) / 16_000))
    artifacts.write(rows, folder / "audio.parquet", "audio", "test")
    return folder / "audio.parquet"


def test_features(models: dict[str, Path], tmp_path: Path) -> None:
    audio = write_clips(tmp_path, 9)
    compute = COMPUTE.model_copy(update={"threads": 2})  # two clips side by side, as by default
    made = agree(
        lambda out, shard: extract_features(Features(layers=(1, 3)), compute, audio, models["whisper"], out, shard),
        tmp_path,
    )
    assert artifacts.count_rows(made, "features") == 9


def test_transcripts(models: dict[str, Path], tmp_path: Path) -> None:
    audio = write_clips(tmp_path, 5)
    nothing = dict(caption_group=None, emotion=None, intensity=None, valence=None, arousal=None)
    labels = [
        {"utterance_id": f"u{n}", "captions": [], "transcript": "own words" if n in (1, 2) else None, **nothing}
        for n in range(5)
    ]
    artifacts.write(labels, tmp_path / "labels.parquet", "labels", "test")
    settings = TranscriptSettings(Transcripts(), "train", COMPUTE)
    inputs = TranscriptInputs(audio, tmp_path / "labels.parquet", models["whisper"])
    made = agree(lambda out, shard: write_transcripts(settings, inputs, out, shard), tmp_path, (2, 3, 7))
    sources = [row["source"] for row in artifacts.read_rows(made, "transcripts")]
    assert sources == ["asr", "corpus", "corpus", "asr", "asr"]


@pytest.fixture
def inputs(tmp_path: Path, models: dict[str, Path]) -> TrainingInputs:
    """Artifacts of 30 utterances whose prompts, captions and features are of many lengths."""
    folder = tmp_path / "artifacts"
    names = [f"u{number:02d}" for number in range(UTTERANCES)]
    generator = np.random.default_rng(0)
    plan, references, clues, features = [], [], [], []
    for number, name in enumerate(names):
        role = ("align", "preference", "align", "adapt", "align")[number % 5]
        plan.append({"utterance_id": name, "corpus": "tiny", "speaker_key": "tiny/s", "role": role, "fold": 0})
        caption = "sounds " + "very " * (number * 7 % 5) + ("angry" if number % 2 else "sad")
        nothing = dict(caption_group=None, intensity=None, valence=None, arousal=None, transcript=None)
        captions = [caption, f"a voice, {caption}"] if number % 3 else [caption]
        emotion = "angry" if number % 2 else "sad"
        references.append({"utterance_id": name, "captions": captions, "emotion": emotion, **nothing})
        words = generator.integers(40, 90, number * 3 % 11).tolist()
        clue = dict(kind="emotion", word=emotion, lemma=emotion, intensity="normal", negated=False, probability=1.0)
        clues.append({"utterance_id": name, "clues": [clue], "p_act": f"Emotion: {emotion}.", "p_sem_ids": words})
        shape = {"n_layers": LAYERS, "n_frames": 3 + number * 5 % 8, "dim": DIM, "dtype": "float16"}
        array = generator.normal(size=(LAYERS, shape["n_frames"], DIM)).astype(np.float16)
        features.append({"utterance_id": name, **shape, "data": array.tobytes()})
    for name, rows, schema in (
        ("references", references, "labels"),
        ("clues", clues, "clues"),
        ("features", features, "features"),
    ):
        artifacts.write(rows, folder / f"{name}.parquet", schema, "test")
    artifacts.write(plan, folder / "plan.parquet", "plan", "test")
    files = [{"tiny": folder / f"{name}.parquet"} for name in ("features", "references", "clues", "clues")]
    return TrainingInputs(folder / "plan.parquet", *files, models["llama"])


@pytest.fixture
def checkpoint(tmp_path: Path, inputs: TrainingInputs) -> CheckpointPaths:
    """A captioner that was not trained, whose every weight is random."""
    torch.manual_seed(0)
    paths = CheckpointPaths.of(tmp_path / "kd")
    model = build_model(model_folder(inputs.llm), Prompts(), LORA, COMPUTE, {})
    model.add_lora(LORA)
    model.add_adapter(ADAPTER, LAYERS, DIM)
    for name, tensor in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(tensor, std=0.3)
    system = {"lora": LORA.model_dump(), "prompts": Prompts().model_dump(), "adapter": ADAPTER.model_dump()}
    save_checkpoint(paths, model, {}, {"w": torch.zeros(1)}, system)
    return paths


@pytest.mark.parametrize("responses", ["reference", "both"])
def test_teacher_logits(inputs: TrainingInputs, tmp_path: Path, responses: str) -> None:
    said = None
    if responses == "both":
        said = tmp_path / "said.parquet"
        rows = [
            {"utterance_id": f"u{n:02d}", "response_id": f"u{n:02d}#g{k}", "response_ids": [65 + n] * (1 + n % 4 + k)}
            | {"caption": "x", "finished": True}
            for n in range(UTTERANCES)
            for k in range(2)
        ]
        artifacts.write(rows, said, "teacher_responses", "test")
    settings = LogitsSettings("tiny", Teacher(top_k=8, responses=responses), LORA, Prompts(), COMPUTE)
    own = more(LogitsInputs, inputs, teacher_responses=said, teacher_lora=None)
    made = agree(lambda out, shard: write_teacher_logits(settings, own, out, shard), tmp_path, (2, 7, 31))
    found = artifacts.read_rows(made, "teacher_logits")
    assert len({row["utterance_id"] for row in found}) == UTTERANCES * 3 / 5 > 4 * BLOCK
    assert len(found) > len({row["utterance_id"] for row in found}), "some have several responses"
    kinds = {"#g" in row["response_id"] for row in found}
    assert kinds == ({False, True} if responses == "both" else {False})


def test_candidates(inputs: TrainingInputs, checkpoint: CheckpointPaths, tmp_path: Path) -> None:
    """20 samples: three utterances share a batch."""
    settings = CandidateSettings(Candidates(utterances=11, samples=20), 0, 4, COMPUTE)
    own = more(ParentInputs, inputs, parent=checkpoint)
    made = agree(lambda out, shard: sample_candidates(settings, own, out, shard), tmp_path)
    assert artifacts.count_rows(made, "candidates") == 11 * 20


@pytest.mark.parametrize(("threads", "counts"), [(1, (2, 7)), (2, (3,))])
def test_captions(
    inputs: TrainingInputs, checkpoint: CheckpointPaths, tmp_path: Path, threads: int, counts: tuple[int, ...]
) -> None:
    compute = COMPUTE.model_copy(update={"threads": threads})
    own = CaptioningInputs(checkpoint, inputs.llm, inputs.features["tiny"], inputs.predicted["tiny"])
    decoding = Decoding(max_new_tokens=5, batch_size=3)
    made = agree(lambda out, shard: caption_testset(decoding, compute, own, out, shard), tmp_path, counts)
    assert [row["utterance_id"] for row in artifacts.read_rows(made, "captions")] == [f"u{n:02d}" for n in range(30)]


@pytest.fixture
def candidates(tmp_path: Path, inputs: TrainingInputs) -> Path:
    """Candidates of 30 utterances, of one or two captions each, of many lengths."""
    rows = [
        {
            "candidate_id": f"tiny/u{n:02d}#{k}",
            "utterance_id": f"u{n:02d}",
            "corpus": "tiny",
            "caption": "A " + "rather " * (n * k % 6) + ("quiet" if k else "loud") + " voice, " + ("sad." * (n % 3)),
            "token_ids": [5, k],
            "sum_logprob": -3.0,
            "temperature": 1.0,
            "seed": 1,
            "finished": n % 4 != 1,
        }
        for n in range(UTTERANCES)
        for k in range(1 + n % 2)
    ]
    artifacts.write(rows, tmp_path / "candidates.parquet", "candidates", "test")
    said = {"transcript": "hello", "language": "en", "source": "asr", "avg_logprob": 0.0}
    transcripts = [{"utterance_id": f"u{n:02d}", **said} for n in range(UTTERANCES)]
    artifacts.write(transcripts, tmp_path / "transcripts.parquet", "transcripts", "test")
    return tmp_path / "candidates.parquet"


def scoring(inputs: TrainingInputs, candidates: Path, model: Path | None) -> CandidateScoringInputs:
    transcripts = {"tiny": candidates.with_name("transcripts.parquet")}
    return CandidateScoringInputs(candidates, inputs.references, inputs.gold, transcripts, {}, model)


@pytest.mark.parametrize(("judge", "family"), [("reference", "bert"), ("local", "llama")])
def test_judge_scores(
    inputs: TrainingInputs, candidates: Path, models: dict[str, Path], tmp_path: Path, judge: str, family: str
) -> None:
    settings = Judge(name=judge, local={"batch_size": 3})
    own = scoring(inputs, candidates, models[family])
    if judge == "local":  # its prompts are long
        few = [row for row in artifacts.read_rows(candidates, "candidates") if row["utterance_id"] < "u10"]
        artifacts.write(few, candidates, "candidates", "test")
    counts = (2, 7, 31) if judge == "reference" else (3,)
    made = agree(lambda out, shard: score_candidates(settings, COMPUTE, own, out, shard), tmp_path, counts)
    assert artifacts.count_rows(made, "judge_scores") == artifacts.count_rows(candidates, "candidates")


def test_answers_of_people_about_a_few_candidates(inputs: TrainingInputs, candidates: Path, tmp_path: Path) -> None:
    """Most shards would have none, which is an error only where there are none at all."""
    answers = tmp_path / "answers.jsonl"
    told = '{"corpus": "tiny", "utterance_id": "u07", "candidate": "%s", "factuality": 5, "faithfulness": 4}\n'
    caption = next(
        row["caption"] for row in artifacts.stream_rows(candidates, "candidates") if row["utterance_id"] == "u07"
    )
    answers.write_text(told % caption)
    settings = Judge(name="human", human={"answers": str(answers)})
    own = scoring(inputs, candidates, None)
    made = agree(lambda out, shard: score_candidates(settings, COMPUTE, own, out, shard), tmp_path)
    assert sum(row["overall"] is not None for row in artifacts.read_rows(made, "judge_scores")) == 1
    answers.write_text(told % "What nobody said.")
    with pytest.raises(JudgeError, match="none of its 1 answers"):
        agree(lambda out, shard: score_candidates(settings, COMPUTE, own, out, shard), tmp_path / "none")


def test_a_bad_clip_fails_its_shard_alone(models: dict[str, Path], tmp_path: Path) -> None:
    audio = write_clips(tmp_path, 4)
    (tmp_path / "u3.wav").write_bytes(b"no sound")

    def part(number: int) -> Path:
        out = tmp_path / f"{number}.parquet"
        extract_features(Features(layers=(1,)), COMPUTE, audio, models["whisper"], out, Shard(number, 2))
        return out

    assert artifacts.count_rows(part(1), "features") == 2
    with pytest.raises(AudioError, match="u3.wav"):
        part(2)
    assert not (tmp_path / "2.parquet").exists()


def test_a_shard_reads_what_its_utterances_need_and_no_more(
    inputs: TrainingInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher reads text: no features, and of the tables the rows of its own utterances."""
    taken: list[str] = []
    stream = artifacts.stream_rows

    def watched(path, schema, *arguments, **named):
        for row in stream(path, schema, *arguments, **named):
            if schema in ("labels", "clues"):
                taken.append(row["utterance_id"])
            yield row

    monkeypatch.setattr(artifacts, "stream_rows", watched)
    own = more(LogitsInputs, replace(inputs, features={}), teacher_responses=None, teacher_lora=None)
    settings = LogitsSettings("tiny", Teacher(top_k=8), LORA, Prompts(), COMPUTE)
    out = tmp_path / "part.parquet"
    write_teacher_logits(settings, own, out, Shard(1, 4))
    said = {row["utterance_id"] for row in artifacts.read_rows(out, "teacher_logits")}
    assert set(taken) == said and len(said) == BLOCK
