"""The training items of alignment: utterances with their reference captions or with responses of the teacher."""

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
from aligncap.training.data import TrainingInputs, examples_of, planned

ROWS = 64  # sequences decoded at once


class TrainingItem(NamedTuple):
    """A training item: an utterance and one response to it."""

    example: Example
    response_id: str  # utterance_id#n for its n-th caption, utterance_id#gn for a generated one
    ids: tuple[int, ...]

    @property
    def key(self) -> str:
        """Key ``corpus/response_id``, which is unique over all corpora."""
        return f"{self.example.corpus}/{self.response_id}"


def caption_items(examples: Sequence[Example], response_ids: Callable[[str], Sequence[int]]) -> list[TrainingItem]:
    """Pair every utterance with each of its captions.

    Args:
        examples: Utterances.
        response_ids: Function that returns the token ids of a caption, including the end token.
    """
    return [
        TrainingItem(example, f"{example.utterance_id}#{number}", tuple(response_ids(caption)))
        for example in examples
        for number, caption in enumerate(example.captions)
    ]


def response_items(
    examples: Sequence[Example],
    kind: str,
    generated: Mapping[str, Path],
    response_ids: Callable[[str], Sequence[int]],
) -> list[TrainingItem]:
    """Pair every utterance with its captions, with the teacher's responses to it, or with both.

    Args:
        examples: Utterances.
        kind: Value of ``teacher.responses``: ``reference``, ``generated`` or ``both``.
        generated: Artifact ``teacher_responses`` of each corpus; read unless kind is ``reference``.
        response_ids: Function that returns the token ids of a caption, including the end token.

    Raises:
        ArtifactError: An utterance has no generated response.
    """
    items = caption_items(examples, response_ids) if kind != "generated" else []
    if kind == "reference":
        return items
    said: dict[str, list[TrainingItem]] = {example.key: [] for example in examples}
    by_key = {example.key: example for example in examples}
    names = {example.utterance_id for example in examples}
    for corpus, path in generated.items():
        for row in artifacts.stream_rows(path, "teacher_responses", of=names):
            key = f"{corpus}/{row['utterance_id']}"
            if key in said:
                said[key].append(TrainingItem(by_key[key], row["response_id"], tuple(row["response_ids"])))
    missing = [key for key, own in said.items() if not own]
    if missing:
        raise ArtifactError(
            f"teacher_responses: none for {missing[0]} and {len(missing) - 1} more; delete and run again"
        )
    return items + [item for own in said.values() for item in own]


def teacher_prompts(model: CaptionModel, examples: Sequence[Example], clues: str) -> list[Prompt]:
    """Build the text input ``x_T`` of each example with its ``gold`` or ``predicted`` clues."""
    return [model.text_prompt(e.gold_p_act if clues == "gold" else e.predicted_p_act, e.p_sem_ids) for e in examples]


@dataclass(frozen=True)
class ResponsesSettings:
    """Settings of the teacher's responses.

    Attributes:
        corpus: Training corpus.
        teacher: Clues and ``sampling``.
        lora: Rank and target modules of the teacher's LoRA.
        prompts: Instruction and parts of the prompt.
        seed: Seed of the random generators, one for each utterance.
        max_new_tokens: Maximum length of a response in tokens.
        compute: Device and threads.
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
    """Input files of the teacher's responses; ``teacher_lora`` is None where ``LLM_0`` is the base LLM."""

    teacher_lora: Path | None


def write_teacher_responses(settings: ResponsesSettings, inputs: ResponsesInputs, out: Path) -> None:
    """Generate the teacher's responses to the text input of a corpus's ``align`` utterances (ours).

    They are decoded greedily or sampled. A response that reaches the length limit has no end token, so that the
    student does not learn to end there.

    Args:
        settings: Corpus, teacher and decoding.
        inputs: Artifacts of the training corpora.
        out: Artifact ``teacher_responses`` to write.
    """
    teacher, drawn = settings.teacher, settings.teacher.sampling
    llm0 = load_lora(inputs.teacher_lora)
    model = build_model(model_folder(inputs.llm), settings.prompts, settings.lora, settings.compute, llm0)
    keys = [key for key in planned(inputs.plan, ["align"]) if key[0] == settings.corpus]
    examples = examples_of(inputs, keys, heard=False)
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
