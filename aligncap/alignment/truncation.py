"""What keeping the teacher's top k tokens and one tail bucket costs, against the KL over the whole vocabulary."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aligncap import artifacts
from aligncap.alignment.distillation import LiveTeacher
from aligncap.alignment.losses import TopK, full_divergences, token_kls, top_k_and_tail
from aligncap.alignment.training_items import caption_items
from aligncap.captioner.checkpoint import CheckpointPaths, load_checkpoint
from aligncap.config import Compute, Teacher
from aligncap.models.sources import model_folder
from aligncap.progress import track
from aligncap.training.data import TrainingInputs, load_examples

KEPT = (8, 16, 32, 64, 128, 256, 1024)  # and the whole vocabulary
BATCH = 4
COLUMNS = {
    "corpus": "corpus",
    "k": "k",
    "full_kl": "full KL",
    "kept_kl": "top k + tail",
    "error": "error",
    "error_p95": "error, 95th percentile",
    "teacher_tail": "teacher's tail mass",
    "student_tail": "student's mass there",
    "bytes_per_token": "bytes a token",
    "n_tokens": "tokens",
}


def as_stored(top: TopK) -> TopK:
    """Distributions after the rounding of the ``teacher_logits`` artifact: half precision but for the tail."""
    return TopK(top.ids, top.logprobs.half().float(), top.tail)


def measure(teacher_logits: Tensor, student_logits: Tensor, k: int, temperature: float) -> dict[str, Tensor]:
    """Per token ``[N]``: full KL, KL as stored with top ``k``, and the mass of both sides outside the top k.

    Args:
        teacher_logits: ``[N, V]``.
        student_logits: ``[N, V]``.
        k: tokens kept; V or more keeps all.
        temperature: of both sides.
    """
    top = top_k_and_tail(teacher_logits, k, temperature)
    student = (student_logits.float() / temperature).softmax(-1)
    return {
        "full_kl": full_divergences(student_logits, teacher_logits, "forward_kl", temperature),
        "kept_kl": token_kls(student_logits, as_stored(top), temperature),
        "teacher_tail": top.tail.exp(),
        "student_tail": (1 - student.gather(-1, top.ids).sum(-1)).clamp_min(0),
    }


def write_kl_truncation(
    system: str,
    teacher: Teacher,
    utterances: int,
    compute: Compute,
    inputs: TrainingInputs,
    checkpoint: CheckpointPaths,
    llm_manifest: Path,
    out: Path,
    markdown: Path,
) -> None:
    """Measure the error of the truncated KL on dev utterances of the training corpora, for every k.

    Teacher is the ``LLM_0`` of the checkpoint reading text input, student the checkpoint reading speech input, both
    over the reference captions.

    Args:
        system: name of the trained captioner.
        teacher: clues and temperature.
        utterances: how many of the dev utterances, at most.
        compute: device and threads.
        inputs: artifacts of the training corpora.
        checkpoint: of the student.
        llm_manifest: the base LLM.
        out: the ``kl_truncation`` artifact.
        markdown: the same for a reader.
    """
    model = load_checkpoint(checkpoint, model_folder(llm_manifest), compute)
    items = caption_items(load_examples(inputs, ["dev"])[:utterances], model.response_ids)
    items.sort(key=lambda item: len(item.ids))
    live = LiveTeacher(model, teacher.clues, "forward_kl", teacher.temperature)
    found: dict[tuple[str, int], dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    starts = range(0, len(items), BATCH)
    for start in track(starts, f"KL truncation {system}", len(starts)):
        batch = items[start : start + BATCH]
        with torch.no_grad():
            prompts = model.speech_prompts([item.example for item in batch])
            student = model.response_logits(model.pack(prompts, [[list(item.ids)] for item in batch]))
            said = live.logits(batch)
            lengths = [len(item.ids) for item in batch]
            for k in [k for k in KEPT if k < said.shape[-1]] + [said.shape[-1]]:
                for name, values in measure(said, student, k, teacher.temperature).items():
                    for item, own in zip(batch, values.split(lengths), strict=True):
                        found[item.example.corpus, k][name].append(own.double().cpu().numpy())
    rows = [_row(corpus, k, {n: np.concatenate(v) for n, v in parts.items()}) for (corpus, k), parts in found.items()]
    rows.sort(key=lambda row: (row["corpus"], row["k"]))
    notes = {"system": system, "utterances": len({item.example.key for item in items}), "nat": "a response token"}
    artifacts.write(rows, out, "kl_truncation", "kl_truncation_table", notes)
    artifacts.write_text(_markdown(rows, system), markdown)


def _row(corpus: str, k: int, values: dict[str, np.ndarray]) -> dict:
    error = values["full_kl"] - values["kept_kl"]
    return {
        "corpus": corpus,
        "k": k,
        **{name: float(v.mean()) for name, v in values.items()},
        "error": float(error.mean()),
        "error_p95": float(np.quantile(np.abs(error), 0.95)),
        "bytes_per_token": k * (4 + 2) + 4,
        "n_tokens": len(error),
    }


def _markdown(rows: list[dict], system: str) -> str:
    lines = [
        f"KL(teacher || `{system}`), nat a response token, on dev utterances of the training corpora. The largest k is",
        "the whole vocabulary; what is left of the error there is half precision.",
        "",
        "| " + " | ".join(COLUMNS.values()) + " |",
        "|---|" + "---:|" * (len(COLUMNS) - 1),
    ]
    for row in rows:
        cells = [f"{row[n]:.5f}" if isinstance(row[n], float) else str(row[n]) for n in COLUMNS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
