"""Sections of the stages that train the speech side: the adapter, its warm start, the teacher, alignment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from aligncap.config.base import Count, Dropout, Fraction, Positive, Section, TopP
from aligncap.extensions import names


class Launch(Section):
    """How the jobs that train are started: warm start, the teacher's adaptation, alignment and preference."""

    processes: Count = Field(
        1,
        description="number of processes that share the items of a step, which stays as large as it is; each takes a "
        "GPU of its own where there are any",
    )
    accelerate: str = Field(
        "profiles/accelerate/ddp.yaml",
        min_length=1,
        description="for several processes: configuration file of accelerate, which says how they share: DDP, or FSDP "
        "(profiles/accelerate/fsdp.yaml), which spreads the LLM over them",
    )


def require_even_shares(processes: int, stages: Mapping[str, Optimisation]) -> None:
    """Raise ``ValueError`` where the items of a step of a stage cannot be shared evenly."""
    for name, own in stages.items():
        if own.batch_size * own.accumulate % processes:
            raise ValueError(
                f"{name}.batch_size: {own.batch_size} times accumulate {own.accumulate} is not a multiple of "
                f"launch.processes {processes}; change one of them"
            )


class AdapterSettings(Section):
    """The speech adapter: it makes embeddings in the LLM's input of a learned mix of the feature layers."""

    type: Literal["qformer", "conv", "cif", "none"] = Field(
        "qformer",
        description="qformer: learned queries attend to the speech; conv: strided convolutions; cif: one embedding for "
        "each token of the transcript (continuous integrate-and-fire); none: no embeddings, the LLM reads only "
        "predicted clues and the transcript (the system `cascade`)",
    )
    queries: Count = Field(8, description="number of embeddings that a clip becomes; not for cif")
    width: Count = Field(192, description="dimensions of its hidden states; for qformer and cif a multiple of heads")
    layers: Count = Field(
        2, description="number of layers: of the Q-Former, of strided convolutions, or of self-attention after cif"
    )
    heads: Count = Field(4, description="number of attention heads in each layer")
    dropout: Dropout = Field(0.1, description="share of activations that training drops")
    noise: Annotated[float, Field(ge=0)] = Field(
        0.1,
        description="standard deviation of the noise that training adds to the embeddings, relative to their root mean "
        "square",
    )
    quantity_weight: Annotated[float, Field(ge=0)] = Field(
        0.1,
        description="for cif: weight of the loss that holds the number of embeddings to that of the transcript tokens",
    )
    mixup: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="training mixes the embeddings of two clips of equal gold clues, by a share drawn from Beta(a, a); "
        "this is a, and 0 mixes nothing",
    )

    @model_validator(mode="after")
    def _fits(self) -> AdapterSettings:
        if self.type in ("qformer", "cif") and self.width % self.heads:
            raise ValueError(f"adapter.width {self.width} is not a multiple of adapter.heads {self.heads}")
        if self.mixup and self.type not in ("qformer", "conv"):
            raise ValueError("adapter.mixup needs a fixed number of embeddings: type qformer or conv")
        return self


Steps = Annotated[int, Field(ge=0, description="number of training steps")]
BatchSize = Annotated[int, Field(ge=1, description="number of clips (for preference: of pairs) in a batch")]
LearningRate = Annotated[
    float, Field(gt=0, description="highest learning rate of all that trains but the speech adapter")
]
AdapterLearningRate = Annotated[float, Field(gt=0, description="highest learning rate of the speech adapter")]
WeightDecay = Annotated[float, Field(ge=0, description="weight decay of the optimiser AdamW")]
DevEvery = Annotated[int, Field(ge=1, description="number of steps between two measurements on dev clips")]
DevLimit = Annotated[int, Field(ge=1, description="most dev clips (for preference: dev pairs) that are measured")]
SaveEvery = Annotated[int, Field(ge=1, description="number of steps between two points that a killed run resumes from")]


class Optimisation(Section):
    """How one stage trains. Learning rates warm up linearly and fall to a tenth along a cosine."""

    steps: Steps = 100
    batch_size: BatchSize = 8
    learning_rate: LearningRate = 5e-4
    warmup: Fraction = Field(0.1, description="share of the steps in which the learning rates rise")
    weight_decay: WeightDecay = 0.01
    max_grad_norm: Positive = Field(1.0, description="longer gradients are scaled down to this norm")
    accumulate: Count = Field(1, description="number of batches whose gradients one step adds up")
    balanced: bool = Field(
        False, description="whether each training corpus gives as many items as any other; false draws all items alike"
    )
    dev_every: DevEvery = 50
    dev_limit: DevLimit = 16
    save_every: SaveEvery = 20


class AdapterOptimisation(Optimisation):
    """How a stage trains that trains the speech adapter, too."""

    adapter_learning_rate: AdapterLearningRate = 5e-4


class WarmStart(AdapterOptimisation):
    """The speech adapter first learns to tell the clue tags from the features, without the LLM."""

    steps: Steps = 240
    batch_size: BatchSize = 32
    learning_rate: LearningRate = 1e-3
    adapter_learning_rate: AdapterLearningRate = 1e-3
    dev_every: DevEvery = 60
    dev_limit: DevLimit = 64
    save_every: SaveEvery = 60


class TeacherSampling(Section):
    """How the teacher's own responses are drawn, where the student is trained on such."""

    samples: Count = Field(1, description="number of responses drawn for each clip")
    temperature: Annotated[float, Field(ge=0)] = Field(
        0.0, description="sampling temperature; 0 always takes the likeliest token, which gives one response"
    )
    top_p: TopP = 0.95

    @model_validator(mode="after")
    def _greedy_gives_one(self) -> TeacherSampling:
        if self.temperature == 0 and self.samples > 1:
            raise ValueError("teacher.sampling.samples: greedy decoding gives one; raise teacher.sampling.temperature")
        return self


class Teacher(Section):
    """The teacher of KD-Regularization: LLM_0, the language model on text input, reading clues and the transcript."""

    adapt: bool = Field(
        True,
        description="whether the language model is first fitted to captioning on text input; teacher and student both "
        "start from that",
    )
    adaptation: Optimisation = Field(
        Optimisation(steps=30, dev_every=15, save_every=10), description="how it is fitted to captioning"
    )
    descriptions: list[Annotated[str, Field(min_length=1)]] = Field(
        [],
        description="for adapt: tables of descriptions of voices without sound (column caption or caption_en), to "
        "which it is fitted beside the captions of clips",
    )
    clues: Literal["gold", "predicted"] = Field(
        "gold", description="the clues that the teacher reads: gold ones, or the predicted ones that the student reads"
    )
    responses: Literal["reference", "generated", "both"] = Field(
        "reference",
        description="what the student is trained on: reference captions, responses generated by the teacher, or both",
    )
    sampling: TeacherSampling = TeacherSampling()
    live: bool = Field(
        False,
        description="true runs the teacher beside the student, with whole distributions; false reads cached ones",
    )
    top_k: Count = Field(
        64,
        description="number of tokens whose probability is cached at each position; all others share one bucket",
    )
    temperature: Positive = Field(1.0, description="divides the logits of teacher and student in the divergence")


if TYPE_CHECKING:
    DivergenceName = str
else:
    DivergenceName = Literal["forward_kl", "reverse_kl", "js", *names("divergences")]


class Alignment(AdapterOptimisation):
    """Speech-text alignment, KD-Regularization: L = NLL + kd_weight * KL(teacher || student)."""

    kd_weight: Annotated[float, Field(ge=0)] = Field(
        1.0, description="weight of the divergence from the teacher; 0 is plain fine-tuning"
    )
    divergence: DivergenceName = Field(
        "forward_kl",
        description="how far teacher and student are apart: forward_kl is KL(teacher || student), reverse_kl is "
        "KL(student || teacher), js is Jensen-Shannon; all but forward_kl need teacher.live: true",
    )
    before: Literal["mse", "contrastive", "secap"] | None = Field(
        None,
        description="rivals of KD-Regularization (set kd_weight to 0 with them): they pull the speech embeddings to "
        "those of the text before the LLM decodes, by their squared distance (mse), by contrast with other clips "
        "(contrastive) or by SECap's losses (secap); null is none of them",
    )
    before_weight: Annotated[float, Field(ge=0)] = Field(1.0, description="for before: weight of that loss")
    before_temperature: Positive = Field(
        0.1, description="for before: contrastive and secap: temperature of the contrast"
    )
    before_mi_weight: Annotated[float, Field(ge=0)] = Field(
        0.1,
        description="for before: secap: weight of the mutual information with the transcript, relative to the "
        "contrastive term",
    )
    withheld: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="share of the training clips, drawn anew at each step, whose clues the student does not read, so "
        "that it learns to tell them by the speech embeddings",
    )
