"""Parameters, GPU memory and disk of an experiment."""

from __future__ import annotations

from typing import NamedTuple

from aligncap.config import ModelSource
from aligncap.planning import costs
from aligncap.planning.setting import Setting
from aligncap.planning.shapes import numbers
from aligncap.planning.stages import responses
from aligncap.planning.steps import batch_of
from aligncap.systems import TEACHER_SECTIONS, reads_cached_logits, variant

# Bytes of a weight in a repository's safetensors that is fetched, where they are not two: these hold fp32.
PUBLISHED_BYTES = {"whisper-base": 4, "wavlm-large": 4, "hubert-large-ll60k": 4}


class Part(NamedTuple):
    """A model, or what trains of one."""

    role: str
    name: str
    source: str
    parameters: int


def parts(setting: Setting) -> list[Part]:
    """Return the models of the experiment, and what trains."""
    config, llm = setting.config, setting.llm
    trained = numbers(setting.adapter(config)[0])
    encoder, asr = setting.encoder, setting.asr
    found = [
        Part("LLM", config.models.llm.name, llm.source, llm.parameters),
        Part("its LoRA", f"rank {config.lora.rank}, {config.lora.targets}", "built", setting.lora.parameters),
        Part("speech adapter", config.adapter.type, "built", trained),
        Part("speech encoder", config.models.speech_encoder.name, encoder.source, encoder.parameters),
        Part("ASR", config.models.asr.name, asr.source, asr.parameters + asr.decoder),
    ]
    if config.models.judge is not None:
        found.append(Part("judge", config.models.judge.name, setting.judge.source, setting.judge.parameters))
    return found


def memory(setting: Setting, stage: str) -> dict[str, float]:
    """Return the bytes of a training on a GPU; CUDA itself takes one or two GB more."""
    config, llm, lora = setting.config, setting.llm, setting.lora
    batch, size = batch_of(setting, stage, config), setting.size
    adapter = setting.adapter(config)
    aligning = stage == "train_alignment"
    trained = lora.parameters + (numbers(adapter[0]) if aligning else 0)
    frozen = 0 if aligning else numbers(adapter[1])
    distilled = aligning and config.alignment.kd_weight > 0
    rounded = 0 if size == costs.FP32 else size * lora.parameters  # what autocast makes of the LoRA
    return {
        "weights": float(size * llm.parameters + costs.FP32 * frozen),
        "trained weights, gradients, optimiser": float(costs.STATES * trained + rounded),
        "activations": setting.kept(batch),
        "logits": costs.logit_bytes(llm, batch, distilled),
    }


def disk(setting: Setting) -> dict[str, float]:
    """Return the bytes of what takes room on the disk."""
    config, assumed = setting.config, setting.assumed
    own = config.features
    clip = costs.feature_bytes(len(own.layers), own.pool, setting.encoder.width, assumed.seconds)
    aligned, preferred = setting.of_stage("alignment"), setting.of_stage("preference")
    trained = setting.lora.parameters + numbers(setting.adapter(config)[0])
    cached = {}
    for system in aligned:
        settings = setting.resolved(system)
        if reads_cached_logits(settings):
            kept = min(settings.teacher.top_k, setting.llm.vocabulary)
            tokens = responses(setting, settings) * assumed.caption_tokens
            cached[variant(config, system, TEACHER_SECTIONS)] = tokens * costs.distribution_bytes(kept)
    return {
        "models": _weights(setting),
        "features": assumed.features_stored * clip * (assumed.clips + assumed.test_clips),
        "teacher logits": assumed.logits_stored * sum(cached.values()),
        "checkpoints": float(sum(checkpoint(setting, system) for system in (*aligned, *preferred))),
        "resume point of one training": 3.0 * costs.FP32 * trained,
        "copy of features and logits in TMPDIR": float(clip * assumed.clips + max(cached.values(), default=0)),
    }


def checkpoint(setting: Setting, system: str) -> int:
    """Return the bytes of a system's safetensors, but for its clue tagger, whose size depends on the labels."""
    adapter = {f"adapter.{name}": shape for name, shape in setting.adapter(setting.resolved(system))[1].items()}
    lora = {f"student.{name}": shape for name, shape in setting.lora.tensors.items()}
    if setting.config.teacher.adapt:
        lora |= {f"llm0.{name}": shape for name, shape in setting.lora.tensors.items()}
    return sum(map(costs.safetensors_bytes, (adapter, lora)))


def _weights(setting: Setting) -> float:
    """Return the bytes of the models but for the sentence encoder; the hub's lie in its cache, too."""
    own, encoder, asr = setting.config.models, setting.encoder, setting.asr
    every = {
        own.llm.name: (own.llm, setting.llm.parameters, 0),
        own.speech_encoder.name: (own.speech_encoder, encoder.parameters + encoder.decoder, encoder.parameters),
        own.asr.name: (own.asr, asr.parameters + asr.decoder, asr.parameters),
    }
    if own.judge is not None:
        every[own.judge.name] = (own.judge, setting.judge.parameters, 0)
    return sum(_stored(*model) for model in every.values())


def _stored(source: ModelSource, parameters: int, converted: int) -> float:
    if source.format == "gguf":  # is laid down as fp32
        return float(costs.FP32 * parameters)
    if source.format == "whisper_ctranslate2":  # as published, fp16, and the encoder once more as fp32
        return float(2 * parameters + costs.FP32 * converted)
    hub = any(uri.startswith("hf://") for uri in source.files)
    return float(PUBLISHED_BYTES.get(source.name, 2) * parameters * (2 if hub else 1))
