"""A plan's setting: the experiment, the card and what is assumed, with the shapes that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path

from aligncap.config import AlignCapConfig
from aligncap.evaluation.tables import contents
from aligncap.planning import costs, shapes
from aligncap.planning.assumptions import Assumptions, Card
from aligncap.planning.costs import Batch
from aligncap.systems import resolve_system


@dataclass(frozen=True)
class Setting:
    """What a plan is of.

    Args:
        config: The experiment's configuration.
        card: Peaks of the card.
        assumed: What is assumed.
        models: Folder of fetched models, whose ``config.json`` is read before the published shapes.
    """

    config: AlignCapConfig
    card: Card
    assumed: Assumptions
    models: Path

    @cached_property
    def _llm(self) -> tuple[shapes.LlmShape, shapes.LoraShape]:
        return shapes.llm_shapes(self.config.models.llm, self.models, self.config.lora)

    @property
    def llm(self) -> shapes.LlmShape:
        """The language model that writes the captions."""
        return self._llm[0]

    @property
    def lora(self) -> shapes.LoraShape:
        """Its LoRA."""
        return self._llm[1]

    @cached_property
    def encoder(self) -> shapes.EncoderShape:
        """The speech encoder."""
        return shapes.encoder_shape(self.config.models.speech_encoder, self.models)

    @cached_property
    def asr(self) -> shapes.EncoderShape:
        """The encoder of the ASR, with the size of its decoder."""
        return shapes.encoder_shape(self.config.models.asr, self.models)

    @cached_property
    def judge(self) -> shapes.LlmShape:
        """The language model that the judge ``local`` asks."""
        own = self.config.models.judge
        return self.llm if own is None else shapes.llm_shapes(own, self.models, self.config.lora)[0]

    def adapter(self, config: AlignCapConfig) -> tuple[shapes.Shapes, shapes.Shapes]:
        """Return the speech adapter's tensors that train, and all of them."""
        layers = len(config.features.layers)
        return shapes.adapter_shapes(config.adapter, layers, self.encoder.width, self.llm.width)

    @property
    def size(self) -> int:
        """Bytes of a number in the LLM's arithmetic; ``auto`` is bf16, as on GPUs."""
        return 4 if self.config.compute.precision == "fp32" else 2

    @property
    def aligned(self) -> int:
        """Clips that alignment trains on."""
        splits = self.config.splits
        return round(self.assumed.clips * (1 - splits.dev - splits.preference - splits.adapt))

    def of_stage(self, stage: str) -> list[str]:
        """Return the systems of a stage, one seed of them included."""
        return [system for system, own in contents.stages(self.config).items() if own == stage]

    def resolved(self, system: str) -> AlignCapConfig:
        """Return a system's effective configuration."""
        return resolve_system(self.config, system)

    def batch(self, config: AlignCapConfig, prompts: int, responses: int, tokens: float, speech: bool) -> Batch:
        """Return a batch of prompts of the assumed lengths."""
        own, assumed = config.prompts, self.assumed
        words = min(assumed.word_tokens, own.max_semantic_tokens) if own.semantic else 0
        length = (assumed.clue_tokens if own.acoustic else 0) + words + assumed.frame_tokens
        if speech:
            length += self.states(config)
        padding = assumed.padding if prompts > 1 else 1.0
        return Batch(prompts, assumed.shared_tokens, length, responses, tokens, padding)

    def states(self, config: AlignCapConfig) -> int:
        """Return the number of speech embeddings of a clip."""
        kind = config.adapter.type
        return {"none": 0, "cif": self.assumed.word_tokens}.get(kind, config.adapter.queries)

    @property
    def fused(self) -> bool:
        """Whether attention is a fused kernel, as on GPUs."""
        return self.config.compute.device != "cpu"

    def kept(self, batch: Batch) -> float:
        """Return the bytes that autograd keeps of a batch in the LLM's layers."""
        return costs.activation_bytes(self.llm, self.lora, batch, self.size, self.fused)

    def moved(self, batch: Batch, distilled: bool) -> float:
        """Return the bytes that a forward pass of a batch moves beside its products."""
        copies = costs.LIKELIHOOD + (costs.DIVERGENCE if distilled else 0)
        return costs.moved_bytes(self.llm, batch, self.size, self.fused, copies)

    def adapting(self, config: AlignCapConfig, output: int) -> float:
        """Return the FLOPs of a speech adapter for a clip, forward."""
        features = config.features
        frames = ceil(costs.FRAMES * self.assumed.seconds / features.pool)
        inputs = (len(features.layers), frames, self.encoder.width)
        return costs.adapter_flops(config.adapter, inputs, self.states(config), output)

    def seconds(self, flops: float, moved: float, layers: int, adapting: float = 0.0) -> float:
        """Return the seconds of a pass: products at the share of the peak, bytes at the card's bandwidth.

        Args:
            flops: In the LLM's arithmetic.
            moved: Bytes beside the products.
            layers: Layers that are started one after another, which takes some time however little they compute.
            adapting: FLOPs in fp32.
        """
        peak = self.card.fp32_tflops if self.size == costs.FP32 else self.card.bf16_tflops
        reached = 1e12 * self.assumed.reached
        computing = flops / (peak * reached) + adapting / (self.card.fp32_tflops * reached)
        return max(computing + moved / (1e9 * self.card.bandwidth_gb), self.launches(layers))

    def launches(self, layers: float) -> float:
        """Return the seconds in which so many layers are started, however little they compute."""
        return layers * self.assumed.launch_ms / 1e3

    def decoding(self, rows: int, each: int, sampled: bool) -> float:
        """Return the seconds of decoding: batches of ``each`` rows, until the longest caption of a batch may end."""
        llm, steps = self.llm, self.config.decoding.max_new_tokens
        # The LoRA is not merged into bf16 weights; it is small, and its kernels are counted as those of a second layer.
        step = self.launches(2 * llm.layers) + self.size * llm.parameters / (1e9 * self.card.bandwidth_gb)
        tokens = self.assumed.candidate_tokens if sampled else 0
        return ceil(rows / each) * steps * step + rows * tokens * llm.vocabulary * self.assumed.choice_ns / 1e9
