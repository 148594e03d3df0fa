"""Sections of the stages that train the speech side: the adapter, its warm start, the teacher, alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from aligncap.config.base import Count, Fraction, Positive, Section
from aligncap.extensions import names


class Adapter(Section):
    """Speech features to K embeddings in the LLM's input."""

    type: Literal["qformer", "conv", "cif", "none"] = Field(
        "qformer", description="none: no speech embeddings at all, the LLM reads predicted clues and transcript only"
    )
    queries: Count = Field(8, description="K of qformer, and of conv where length is fixed")
    length: Literal["fixed", "frames"] = Field(
        "fixed", description="conv: pool each clip to `queries` embeddings, or keep one per 2^layers frames"
    )
    width: Count = 192
    layers: Count = Field(2, description="Q-Former layers, strided convolutions, or self-attention layers after CIF")
    heads: Count = 4
    dropout: Fraction = 0.1
    noise: Annotated[float, Field(ge=0)] = Field(
        0.1, description="standard deviation of Gaussian noise on the adapter's output in training, relative to its RMS"
    )
    quantity_weight: Annotated[float, Field(ge=0)] = Field(
        0.1, description="cif: weight of |embeddings - transcript tokens| / tokens, in warm start and alignment"
    )
    time_mask: Fraction = Field(0.0, description="training: longest span of frames set to the mean, share of the clip")
    feature_mask: Fraction = Field(0.0, description="training: share of feature dimensions set to the mean, per clip")
    mixup: Annotated[float, Field(ge=0)] = Field(
        0.0, description="training: a of Beta(a, a), mixing the output with that of an utterance of the same gold clues"
    )

    @model_validator(mode="after")
    def _fits(self) -> Adapter:
        if self.type in ("qformer", "cif") and self.width % self.heads:
            raise ValueError(f"adapter.width {self.width} is not a multiple of adapter.heads {self.heads}")
        if self.mixup and (self.type not in ("qformer", "conv") or self.type == "conv" and self.length == "frames"):
            raise ValueError("adapter.mixup needs a fixed number of embeddings: type qformer, or conv of fixed length")
        return self


class Optimisation(Section):
    """One stage's steps. Learning rates warm up linearly and fall to a tenth along a cosine."""

    steps: Annotated[int, Field(ge=0)] = 100
    batch_size: Count = 8
    learning_rate: Positive = 5e-4
    adapter_learning_rate: Positive = Field(5e-4, description="of the speech adapter, where it trains")
    warmup: Fraction = Field(0.1, description="share of the steps")
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    max_grad_norm: Positive = 1.0
    accumulate: Count = Field(1, description="micro-batches a step")
    dev_every: Count = Field(50, description="steps between dev measurements")
    dev_limit: Count = Field(32, description="dev utterances (or pairs) measured")
    save_every: Count = Field(20, description="steps between resume points")


class WarmStart(Optimisation):
    """The adapter learns the clue tags on cached features, with no LLM in the loop."""

    steps: Annotated[int, Field(ge=0)] = 240
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    adapter_learning_rate: Positive = 1e-3
    roles: Annotated[list[Literal["align", "adapt", "preference"]], Field(min_length=1)] = Field(
        ["align", "adapt"],
        description="parts of the splits that it hears; without align, and with alignment.adapter_trains: projection, "
        "the adapter is as unsure of what alignment hears as of new speakers",
    )
    adversary: Literal["speaker", "corpus"] | None = Field(
        None, description="unlearn who speaks, or which corpus it is, by a head behind a gradient reversal"
    )
    adversary_weight: Positive = Field(0.1, description="factor of the reversed gradient")


class TeacherSampling(Section):
    """How the teacher's own responses are drawn."""

    samples: Count = Field(1, description="responses an utterance")
    temperature: Annotated[float, Field(ge=0)] = Field(0.0, description="0 is greedy, which gives one response")
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95

    @model_validator(mode="after")
    def _greedy_gives_one(self) -> TeacherSampling:
        if self.temperature == 0 and self.samples > 1:
            raise ValueError("teacher.sampling.samples: greedy decoding gives one; raise teacher.sampling.temperature")
        return self


class Teacher(Section):
    """The text side: LLM_0 reading gold clues and the transcript."""

    adapt: bool = Field(True, description="fit LLM_0 to the captioning task on text input first, for both sides")
    adaptation: Optimisation = Optimisation(steps=80, learning_rate=5e-4)
    clues: Literal["gold", "predicted"] = Field("gold", description="predicted isolates modality from privileged clues")
    responses: Literal["reference", "generated", "both"] = Field(
        "reference", description="what the student is trained on: captions, the teacher's own responses, or both"
    )
    sampling: TeacherSampling = TeacherSampling()
    live: bool = Field(False, description="run LLM_0 beside the student: whole distributions, nothing cached")
    top_k: Count = Field(64, description="tokens kept a position; the rest is one tail bucket")
    temperature: Positive = Field(1.0, description="of both sides of the divergence")


if TYPE_CHECKING:
    DivergenceName = str
else:
    DivergenceName = Literal["forward_kl", "reverse_kl", "js", *names("divergences")]


class Alignment(Optimisation):
    """Speech-text alignment: KD-Regularization, or NLL only where kd_weight is 0."""

    kd_weight: Annotated[float, Field(ge=0)] = Field(
        1.0, description="lambda of L = NLL + lambda KL(teacher || student)"
    )
    kd_schedule: Literal["constant", "linear_up", "linear_down"] = Field(
        "constant", description="lambda over the steps: as it is, from 0 to it, or from it to 0"
    )
    divergence: DivergenceName = Field(
        "forward_kl",
        description="all but forward_kl need teacher.live: a tail bucket hides where the student's mass is",
    )
    adapter_trains: Literal["all", "projection"] = Field(
        "all", description="projection: what the warm start learned stays, and only the way into the LLM is learned"
    )
    before: Literal["mse", "contrastive", "secap"] | None = Field(
        None, description="the rivals: align the adapter's output before LLM decoding, beside the NLL"
    )
    before_weight: Annotated[float, Field(ge=0)] = 1.0
    before_pool: Literal["mean", "attention"] = Field(
        "mean", description="mse: compare means, or each text token with what it attends to in the speech"
    )
    before_temperature: Positive = Field(0.1, description="of the contrastive terms")
    before_mi_weight: Annotated[float, Field(ge=0)] = Field(
        0.1, description="secap: weight of the mutual information with the transcript, relative to the contrastive term"
    )

    @model_validator(mode="after")
    def _attention_is_of_mse(self) -> Alignment:
        if self.before_pool == "attention" and self.before in ("contrastive", "secap"):
            raise ValueError(f"alignment.before_pool: attention is for before: mse; '{self.before}' pools by mean")
        return self

    @model_validator(mode="after")
    def _before_moves_the_states(self) -> Alignment:
        if self.before is not None and self.adapter_trains == "projection":
            raise ValueError(
                f"alignment.adapter_trains: projection keeps the states that before: {self.before} would move; "
                "set it to all"
            )
        return self
