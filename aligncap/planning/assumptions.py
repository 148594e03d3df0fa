"""What a plan assumes: everything that neither the configuration nor the models say, each with a name and a default."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, NamedTuple, get_type_hints


class Card(NamedTuple):
    """Peaks of a GPU, dense and without sparsity, from its maker's data sheet."""

    bf16_tflops: float
    fp32_tflops: float
    bandwidth_gb: float  # GB/s of its memory
    memory_gb: float


CARDS = {
    "a100-40": Card(312, 19.5, 1555, 40),
    "a100": Card(312, 19.5, 2039, 80),
    "h100": Card(989, 67, 3350, 80),
    "h200": Card(989, 67, 4800, 141),
    "l40s": Card(362, 91.6, 864, 48),
    "rtx4090": Card(165, 82.6, 1008, 24),
}
PEAKS = {
    "bf16_tflops": "TFLOP/s of the card in bf16, dense, from its data sheet",
    "fp32_tflops": "TFLOP/s of the card in fp32, without tensor cores",
    "bandwidth_gb": "GB/s of the card's memory",
    "memory_gb": "GB of the card's memory",
}


@dataclass(frozen=True)
class Assumptions:
    """Defaults are those of ``experiments/paper.yaml``; a help text says what was measured, and where."""

    clips: Annotated[int, "clips of all training corpora"] = 50_000
    test_clips: Annotated[int, "clips of all test corpora"] = 3_000
    seconds: Annotated[float, "seconds of speech in a clip"] = 4.0
    shared_tokens: Annotated[int, "tokens that begin every prompt: chat template and instruction"] = 22
    clue_tokens: Annotated[int, "tokens of a clip's clues"] = 22
    word_tokens: Annotated[int, "tokens of a clip's transcript"] = 12
    frame_tokens: Annotated[int, "tokens around clues, transcript and speech of a prompt"] = 16
    caption_tokens: Annotated[int, "tokens of a caption, its end token included"] = 20
    candidate_tokens: Annotated[int, "tokens of a sampled caption"] = 25
    padding: Annotated[
        float, "positions that a batch computes for each that is real: its rows are of unequal length"
    ] = 1.05
    features_stored: Annotated[float, "share of the bytes of features that zstd leaves; measured of Whisper-base"] = (
        0.84
    )
    logits_stored: Annotated[
        float, "share of the bytes of teacher logits that Parquet and zstd leave; measured of SmolLM2-135M"
    ] = 0.55
    judge_tokens: Annotated[int, "tokens of the judge's rubric and of a clip's facts"] = 600
    asked_tokens: Annotated[int, "tokens of a caption and one question to the judge"] = 60
    answer_tokens: Annotated[int, "tokens of an endpoint's answer"] = 60
    asr_tokens: Annotated[int, "tokens that the ASR writes of a clip"] = 15
    reached: Annotated[float, "share of the card's peak that matrix products reach; not measured on a GPU"] = 0.25
    launch_ms: Annotated[float, "ms of a decoding step in a layer, whatever its size; not measured on a GPU"] = 0.8
    choice_ns: Annotated[
        float, "ns on the CPU to choose a sampled token, for each token of the vocabulary; 20 without a sort"
    ] = 130.0
    load_s: Annotated[float, "seconds in which a model job starts and loads its models"] = 60.0


def meanings() -> dict[str, tuple[Any, str]]:
    """Return the type and the meaning of each assumption, by its name."""
    hints = get_type_hints(Assumptions, include_extras=True)
    return {
        field.name: (hints[field.name].__origin__, hints[field.name].__metadata__[0]) for field in fields(Assumptions)
    }
