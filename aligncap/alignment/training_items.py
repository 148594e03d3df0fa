"""Responses that alignment trains on: captions, or what the teacher itself says to the text input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aligncap import artifacts
from aligncap.captioner.checkpoint import build_model, load_lora
from aligncap.captioner.example import Example
from aligncap.captioner.generate import Sampling, generate
from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt
from aligncap.config import Compute, Lora, Prompts, Teacher
from aligncap.errors import ArtifactError
from aligncap.hashes import seed_of
from aligncap.models.sources import model_folder
from aligncap.progress import batches
from aligncap.training.data import TrainingInputs, load_examples

ROWS = 64  # sequences decoded at once


class Item(NamedTuple):
    """A training item: an utterance and one response to it."""

    example: Example
    response_id: str  # utterance_id#n for its n-th caption, utterance_id#gn for a generated one
    ids: tuple[int, ...]

    @property
    def key(self) -> str:
        """``corpus/response_id``: unique over corpora."""
        return f"{self.example.corpus}/{self.response_id}"


def caption_items(examples: Sequence[Example], response_ids: Callable[[str], Sequence[int]]) -> list[Item]:
    """Every utterance with each of its captions.

    Args:
        examples: the utterances.
        response_ids: a caption's tokens, end token included.
    """
    return [
        Item(example, f"{example.utterance_id}#{number}", tuple(response_ids(caption)))
        for example in examples
        for number, caption in enumerate(example.captions)
    ]


def response_items(
    examples: Sequence[Example],
    kind: str,
    generated: Mapping[str, Path],
    response_ids: Callable[[str], Sequence[int]],
) -> list[Item]:
    """The items of ``teacher.responses``: ``reference``, ``generated`` or ``both``.

    Args:
        examples: the utterances.
        kind: which responses.
        generated: ``teacher_responses`` artifact of each corpus; read unless kind is ``reference``.
        response_ids: a caption's tokens, end token included.

    Raises:
        ArtifactError: an utterance has no generated response.
    """
    items = caption_items(examples, response_ids) if kind != "generated" else []
    if kind == "reference":
        return items
    said: dict[str, list[Item]] = {example.key: [] for example in examples}
    by_key = {example.key: example for example in examples}
    for corpus, path in generated.items():
        for row in artifacts.read_rows(path, "teacher_responses"):
            key = f"{corpus}/{row['utterance_id']}"
            if key in said:
                said[key].append(Item(by_key[key], row["response_id"], tuple(row["response_ids"])))
    missing = [key for key, own in said.items() if not own]
    if missing:
        raise ArtifactError(
            f"teacher_responses: none for {missing[0]} and {len(missing) - 1} more; delete and run again"
        )
    return items + [item for own in said.values() for item in own]


def teacher_prompts(model: CaptionModel, examples: Sequence[Example], clues: str) -> list[Prompt]:
    """Text input ``x_T`` with ``gold`` or ``predicted`` clues."""
    return [model.text_prompt(e.gold_p_act if clues == "gold" else e.predicted_p_act, e.p_sem_ids) for e in examples]


@dataclass(frozen=True)
class ResponsesSettings:
    """What the teacher's own responses depend on beside files.

    Attributes:
        corpus: a training corpus.
        teacher: clues and ``sampling``.
        lora: rank and targets of the teacher's LoRA.
        prompts: what the LLM reads.
        seed: of every utterance's generator.
        max_new_tokens: length limit.
        compute: device and threads.
    """

    corpus: str
    teacher: Teacher
    lora: Lora
    prompts: Prompts
    seed: int
    max_new_tokens: int
    compute: Compute


@dataclass(frozen=True)
class ResponsesInputs(TrainingInputs):
    """What the teacher reads to answer; ``teacher_lora`` makes ``LLM_0`` of the LLM, where there is one."""

    teacher_lora: Path | None


def write_teacher_responses(settings: ResponsesSettings, inputs: ResponsesInputs, out: Path) -> None:
    """What the teacher says to the text input of each ``align`` utterance of a corpus, greedily or sampled (ours).

    A response that the length limit cut has no end token: the student is then not taught to end there.

    Args:
        settings: the corpus, and how the teacher answers.
        inputs: artifacts of the training corpora.
        out: the ``teacher_responses`` artifact.
    """
    teacher, drawn = settings.teacher, settings.teacher.sampling
    llm0 = load_lora(inputs.teacher_lora)
    model = build_model(model_folder(inputs.llm), settings.prompts, settings.lora, settings.compute, llm0)
    examples = [e for e in load_examples(inputs, ["align"]) if e.corpus == settings.corpus]
    examples.sort(key=lambda e: len(e.p_sem_ids))
    size = max(1, ROWS // drawn.samples)
    rows = []
    for batch in batches(examples, size, f"teacher responses {settings.corpus}"):
        seeds = [seed_of(settings.seed, "teacher", e.key) for e in batch]
        sampling = Sampling(drawn.samples, drawn.temperature, drawn.top_p, seeds)
        said = generate(
            model,
            teacher_prompts(model, batch, teacher.clues),
            settings.max_new_tokens,
            sampling if drawn.temperature else None,
        )
        rows += [
            {
                "utterance_id": example.utterance_id,
                "response_id": f"{example.utterance_id}#g{number}",
                "response_ids": response.token_ids,
                "caption": model.decode(response.token_ids),
                "finished": response.finished,
            }
            for example, responses in zip(batch, said, strict=True)
            for number, response in enumerate(responses)
        ]
    rows.sort(key=lambda row: str(row["response_id"]))
    artifacts.write(
        rows,
        out,
        "teacher_responses",
        "teacher_responses",
        {"teacher": teacher.model_dump(mode="json", exclude_unset=True)},
    )
