"""The section ``preference``: how preference optimisation trains, and on what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from aligncap.config.base import Positive
from aligncap.config.judges import Judge
from aligncap.config.pairs import Candidates, Pairs
from aligncap.config.training import (
    BatchSize,
    DevEvery,
    LearningRate,
    Optimisation,
    SaveEvery,
    Steps,
    WeightDecay,
)
from aligncap.extensions import names

if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal["dpo", "ipo", "simpo", "orpo", "kto", "nll", *names("losses")]


class PreferenceTraining(Optimisation):
    """Preference optimisation, PO-Regularization: L = -log sigmoid(beta * margin) + rpo_alpha * NLL(chosen)."""

    steps: Steps = 40
    batch_size: BatchSize = 4
    learning_rate: LearningRate = 5e-5
    weight_decay: WeightDecay = 0.0
    dev_every: DevEvery = 20
    save_every: SaveEvery = 10
    loss: LossName = Field(
        "dpo",
        description="what is learned from a pair: dpo, ipo, simpo, orpo or kto as published under these names; nll is "
        "fine-tuning on the chosen captions alone, the control",
    )
    beta: Positive = Field(
        0.1, description="strength of the preference loss: beta of dpo and kto, tau of ipo, lambda of orpo"
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="for dpo: share of the pairs that are taken to be the wrong way round"
    )
    length_normalised: bool = Field(
        False,
        description="for dpo and ipo: whether rewards are divided by a caption's tokens; beta should then be larger",
    )
    simpo_beta: Positive = Field(2.0, description="for simpo: its beta")
    simpo_gamma: Annotated[float, Field(ge=0)] = Field(
        1.0, description="for simpo: the margin that a pair should have, in nats"
    )
    kto_weights: tuple[Positive, Positive] = Field(
        (1.0, 1.0), description="for kto: weights of desirable and of undesirable captions"
    )
    rpo_alpha: Annotated[float, Field(ge=0)] = Field(
        0.2, description="weight of the chosen caption's NLL, per token; orpo and nll have one of their own instead"
    )
    stop_below: float | None = Field(
        -0.5,
        description="training stops where the mean log-probability of chosen dev captions, per token and relative to "
        "the reference model, falls below this; null never stops",
    )

    @model_validator(mode="after")
    def _fits_the_loss(self) -> PreferenceTraining:
        if self.label_smoothing and self.loss != "dpo":
            raise ValueError(f"label_smoothing is of loss dpo (cDPO); set it to 0 for loss {self.loss}")
        if self.length_normalised and self.loss not in ("dpo", "ipo"):
            raise ValueError(f"length_normalised is of losses dpo and ipo; set it to false for loss {self.loss}")
        return self


class Preference(PreferenceTraining):
    """Preference optimisation, PO-Regularization: L = -log sigmoid(beta * margin) + rpo_alpha * NLL(chosen)."""

    candidates: Candidates = Candidates()
    judge: Judge = Judge()
    pairs: Pairs = Pairs()
