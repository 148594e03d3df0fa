"""Time, memory and bytes of stages in one job and in shards, at growing numbers of utterances.

Every job is a process of its own, as in the workflow, and one runs after the other on one core. Audio is a few short
recordings, again and again; models are random and tiny, so that what grows with the corpus is not hidden behind them.
The stage ``rows`` has no model: it reads and writes features of 40 kB a clip, which is what sharding itself costs.
Seconds are those of the processor (user and system), so that what else the machine does is not in them: "sharded" are
all shards and the gathering, "starting" is a shard without utterances. "own memory" is what a process holds and the
system cannot drop (anonymous pages) at its peak. The gathered artifact is compared with that of one job, byte for byte.

    python benchmarks/shards.py --numbers 1000 10000 100000 --shards 4 --stages features teacher_logits captions
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from growth import COMPUTE, FRAMES, LAYERS, WIDTH, Peak

from aligncap import artifacts
from aligncap.artifacts import Shard
from aligncap.config import (
    AdapterSettings,
    Candidates,
    Decoding,
    Features,
    Judge,
    Lora,
    ModelSource,
    Prompts,
    Teacher,
    Transcripts,
)
from aligncap.evaluation.wording import markdown_table

RECORDINGS, SECONDS = 8, 0.5
CAPTION = "a calm and rather low voice"
LORA = Lora(rank=2, alpha=4)
NEEDS = {"rows": ("speech",), "captions": ("speech",), "candidates": ("speech",), "judge_scores": ("candidates",)}
STAGES = ("rows", "features", "transcripts", "teacher_logits", "captions", "candidates", "judge_scores")


def write_inputs(folder: Path, count: int, stage: str) -> None:
    """Write what a stage reads of so many utterances."""
    import soundfile

    generator = np.random.default_rng(0)
    names = [f"clip{number:07d}" for number in range(count)]
    length = round(16_000 * SECONDS)
    for number in range(RECORDINGS):
        samples = (0.1 * generator.normal(size=length)).astype(np.float32)
        soundfile.write(folder / f"{number}.wav", samples, 16_000)
    where = {"audio_sha256": "0", "sample_rate": 16_000, "duration_s": SECONDS, "language": "en", "split": "train"}
    speech = {"speech": [{"start": 0, "end": length}], "speaker": "", "session": ""}
    plan = {"corpus": "c", "speaker_key": "c/s", "role": "preference" if stage == "candidates" else "align", "fold": 0}
    nothing = dict.fromkeys(("caption_group", "emotion", "intensity", "valence", "arousal", "transcript"))
    clue = dict(kind="emotion", word="calm", lemma="calm", intensity="normal", negated=False, probability=1.0)
    said = {"transcript": "hello", "language": "en", "source": "asr", "avg_logprob": 0.0}
    shape = {"n_layers": LAYERS, "n_frames": FRAMES, "dim": WIDTH, "dtype": "float16"}
    drawn = {"corpus": "c", "token_ids": [5], "sum_logprob": -1.0, "temperature": 1.0, "seed": 1, "finished": True}

    def noise() -> bytes:
        return generator.integers(0, 15_000, LAYERS * FRAMES * WIDTH, np.uint16).tobytes()  # of small fp16 numbers

    rows: dict[str, Iterator[dict[str, Any]]] = {
        "audio": ({"audio_path": str(folder / f"{i % RECORDINGS}.wav"), **where, **speech} for i in range(count)),
        "plan": (plan for _ in names),
        "labels": ({"captions": [f"{CAPTION} {i % 97}"], **nothing} for i in range(count)),
        "clues": (
            {"clues": [clue], "p_act": "Emotion: calm.", "p_sem_ids": [40] * int(n)}
            for n in generator.integers(1, 12, count)
        ),
        "transcripts": (said for _ in names),
        "features": ({**shape, "data": noise()} for _ in names) if "speech" in NEEDS.get(stage, ()) else iter(()),
    }
    for schema, own in rows.items():
        whole = ({"utterance_id": name, **row} for name, row in zip(names, own, strict=False))
        artifacts.write_rows(whole, folder / f"{schema}.in", schema, "test")
    if "candidates" in NEEDS.get(stage, ()):
        captions = (
            {"candidate_id": f"c/{n}#{k}", "utterance_id": n, "caption": f"{CAPTION}, {k} {i % 89}", **drawn}
            for i, n in enumerate(names)
            for k in range(4)
        )
        artifacts.write_rows(captions, folder / "candidates.in", "candidates", "test")


def write_models(folder: Path) -> None:
    """Write random models, and a captioner that was not trained."""
    import torch

    from aligncap.captioner.checkpoint import CheckpointPaths, build_model, save_checkpoint
    from aligncap.models.sources import fetch_model, model_folder

    for family in ("whisper", "llama", "bert"):
        fetch_model(ModelSource(name=family, files=(f"random:{family}",)), folder / family / "manifest.json")
    adapter = AdapterSettings(queries=2, width=16, layers=1, heads=2)
    model = build_model(model_folder(folder / "llama" / "manifest.json"), Prompts(), LORA, COMPUTE, {})
    model.add_lora(LORA)
    model.add_adapter(adapter, LAYERS, WIDTH)
    system = {"lora": LORA.model_dump(), "prompts": Prompts().model_dump(), "adapter": adapter.model_dump()}
    save_checkpoint(CheckpointPaths.of(folder / "kd"), model, {}, {"w": torch.zeros(1)}, system)


def work(stage: str, folder: Path, out: Path, shard: Shard) -> None:
    """Do what the job of a stage does."""
    if stage == "rows":
        own = shard.of(artifacts.count_rows(folder / "features.in", "features"))
        rows = artifacts.stream_rows(folder / "features.in", "features", own)
        artifacts.write_rows(rows, out, "features", "test")
        return
    from aligncap.alignment.teacher import LogitsInputs, LogitsSettings, write_teacher_logits
    from aligncap.captioner.caption import CaptioningInputs, caption_testset
    from aligncap.captioner.checkpoint import CheckpointPaths
    from aligncap.preference.candidates import CandidateSettings, ParentInputs, sample_candidates
    from aligncap.preference.judges import CandidateScoringInputs, score_candidates
    from aligncap.speech.asr import TranscriptInputs, TranscriptSettings, write_transcripts
    from aligncap.speech.features import extract_features

    whisper, llama, bert = (folder / family / "manifest.json" for family in ("whisper", "llama", "bert"))
    paths = CheckpointPaths.of(folder / "kd")
    files = {name: folder / f"{name}.in" for name in ("audio", "features", "labels", "clues", "transcripts")}
    features, labels, clues, transcripts = (
        {"c": files[name]} for name in ("features", "labels", "clues", "transcripts")
    )
    common = (folder / "plan.in", features, labels, clues, clues, llama)
    if stage == "features":
        extract_features(Features(layers=(1, 2)), COMPUTE, files["audio"], whisper, out, shard)
    elif stage == "transcripts":
        settings = TranscriptSettings(Transcripts(), "test", COMPUTE)
        write_transcripts(settings, TranscriptInputs(files["audio"], None, whisper), out, shard)
    elif stage == "teacher_logits":
        logits = LogitsSettings("c", Teacher(top_k=64), LORA, Prompts(), COMPUTE)
        write_teacher_logits(logits, LogitsInputs(*common, None, None), out, shard)
    elif stage == "captions":
        decoding = Decoding(max_new_tokens=4, batch_size=64)
        caption_testset(decoding, COMPUTE, CaptioningInputs(paths, llama, features["c"], files["clues"]), out, shard)
    elif stage == "candidates":
        drawing = CandidateSettings(Candidates(utterances=10**9, samples=4), 0, 4, COMPUTE)
        sample_candidates(drawing, ParentInputs(*common, paths), out, shard)
    else:
        judged = CandidateScoringInputs(folder / "candidates.in", labels, clues, transcripts, {}, bert)
        score_candidates(Judge(), COMPUTE, judged, out, shard)


def measured(stage: str, folder: Path, out: Path, shard: str) -> tuple[float, float]:
    """Return the processor's seconds and the peak memory, MB, of a job in a process of its own."""
    line = [sys.executable, __file__, "--job", stage, "--folder", str(folder), "--out", str(out), "--shard", shard]
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
    return seconds, json.loads(told.splitlines()[-1])["megabytes"]


def compared(stage: str, count: int, shards: int, scratch: Path) -> list[str]:
    """Measure a stage in one job and in shards; return a row of the table."""
    if stage != "rows":
        write_models(scratch)
    write_inputs(scratch, count, stage)
    whole, gathered = scratch / "whole.parquet", scratch / "gathered.parquet"
    one, one_memory = measured(stage, scratch, whole, "1-of-1")
    names = [f"{number}-of-{shards}" for number in range(1, shards + 1)]
    starting, _ = measured(stage, scratch, scratch / "empty.parquet", f"1-of-{10**9}")
    parts = [measured(stage, scratch, scratch / f"{name}.parquet", name) for name in names]
    joined, joined_memory = measured("gather", scratch, gathered, names[-1])
    assert artifacts.file_digest(whole) == artifacts.file_digest(gathered), "the artifact depends on the shards"
    together = sum(seconds for seconds, _ in parts) + joined
    return [
        stage,
        f"{count:,}",
        f"{whole.stat().st_size / 1e6:.1f}",
        f"{one:.1f}",
        f"{together:.1f}",
        f"{together / one:.2f}",
        f"{starting:.1f}",
        f"{joined:.1f}",
        f"{one_memory:.0f}",
        f"{max(memory for _, memory in parts):.0f}",
        f"{joined_memory:.0f}",
    ]


def main() -> None:
    """Measure each stage at each number of utterances, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", nargs="+", type=int, default=[1_000, 10_000])
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=["features", "teacher_logits", "captions"])
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--job", help="do one job (used by this script itself, as are the following)")
    for name in ("--folder", "--out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--shard")
    options = parser.parse_args()
    if options.job:
        shard = Shard.named(options.shard)
        with Peak() as peak:
            if options.job == "gather":
                numbers = range(1, shard.count + 1)
                artifacts.gather([options.folder / f"{n}-of-{shard.count}.parquet" for n in numbers], options.out)
            else:
                work(options.job, options.folder, options.out, shard)
        print(json.dumps({"megabytes": peak.megabytes}))
        return
    lines = []
    for stage in options.stages:
        for number in options.numbers:
            with tempfile.TemporaryDirectory() as scratch:
                lines.append(compared(stage, number, options.shards, Path(scratch)))
                print(lines[-1], file=sys.stderr)
    times = ["one job, s", "sharded, s", "ratio", "starting, s", "gathering, s"]
    memory = ["own memory of one job, MB", "of the largest shard", "of gathering"]
    head = ["stage", "utterances", "artifact, MB", *times, *memory]
    print("\n".join(markdown_table("lrrrrrrrrrr", head, lines)))


if __name__ == "__main__":
    main()
