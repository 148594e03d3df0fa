"""What every rule that runs a model does in an experiment: FLOPs and seconds of each stage and system."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

from aligncap.alignment.teacher import BATCH
from aligncap.alignment.training_items import ROWS
from aligncap.captioner.packing import TOGETHER
from aligncap.config import AlignCapConfig
from aligncap.planning import costs
from aligncap.planning.costs import Batch
from aligncap.planning.judging import TEST_CAPTIONS, Asked, asked
from aligncap.planning.setting import Setting
from aligncap.planning.steps import scoring, settings_of, training, warming
from aligncap.preference.candidates import clips_at_once
from aligncap.preference.judges.rubric import ASPECTS
from aligncap.speech.asr import WINDOW_S
from aligncap.systems import (
    RESPONSES_SECTIONS,
    TEACHER_SECTIONS,
    WARM_START_SECTIONS,
    candidates_name,
    corpus_names,
    pairs_name,
    plain_name,
    reads_cached_logits,
    variant,
)


class Work(NamedTuple):
    """What a rule does for a system or for what systems share."""

    stage: str
    of: str
    jobs: int
    flops: float
    seconds: float


def _trained(setting: Setting, stage: str, of: str, config: AlignCapConfig) -> Work:
    """Return the work of a training, its measurements on dev clips, which go forward only, included."""
    own = settings_of(stage, config)
    step = warming(setting, config) if stage == "warm_start" else training(setting, stage, config)
    dev = min(own.dev_limit, round(setting.assumed.clips * config.splits.dev))
    passes = own.steps + ceil(own.steps / own.dev_every) * dev / step.clips / 3
    return Work(stage, of, 1, passes * step.flops, passes * step.seconds)


def work(setting: Setting) -> list[Work]:
    """Return what every rule that runs a model does, in the order of a run; seeds of a system are one row."""
    together: dict[tuple[str, str], Work] = {}
    for own in _work(setting):
        key = (own.stage, plain_name(own.of))
        had = together.get(key, Work(*key, 0, 0.0, 0.0))
        together[key] = Work(*key, own.jobs + had.jobs, own.flops + had.flops, own.seconds + had.seconds)
    jobs = sum(own.jobs for own in together.values())
    return [*together.values(), Work("loading models", "all", jobs, 0.0, jobs * setting.assumed.load_s)]


def _work(setting: Setting) -> Iterator[Work]:
    config, assumed = setting.config, setting.assumed
    train, test = (corpus_names(config, role) for role in ("train", "test"))
    clips = assumed.clips + (assumed.test_clips if test else 0)
    yield _features(setting, clips, len(config.corpora))
    yield _transcripts(setting, clips, len(train) + len(test))
    aligned, preferred = setting.of_stage("alignment"), setting.of_stage("preference")
    yield from _before_alignment(setting, aligned, len(train))
    yield from (_trained(setting, "train_alignment", system, setting.resolved(system)) for system in aligned)
    yield from _before_preference(setting, preferred)
    yield from (_trained(setting, "train_preference", system, setting.resolved(system)) for system in preferred)
    for system in (*aligned, *preferred) if test else ():
        seconds = setting.decoding(assumed.test_clips, config.decoding.batch_size, sampled=False)
        flops = 2.0 * assumed.test_clips * assumed.caption_tokens * setting.llm.weights
        yield Work("caption_testset", system, len(test), flops, seconds)
    for one in asked(setting):
        if one.of == TEST_CAPTIONS and one.judge == "local":
            yield _judged(setting, "judge_captions", one)


def _features(setting: Setting, clips: int, corpora: int) -> Work:
    last = max(setting.config.features.layers)
    flops = costs.encoder_flops(setting.encoder, setting.assumed.seconds, last)
    seconds = setting.seconds(0.0, 0.0, min(last, setting.encoder.layers), flops)
    return Work("speech_features", "all", corpora, clips * flops, clips * seconds)


def _transcripts(setting: Setting, clips: int, corpora: int) -> Work:
    """Clips go through the ASR one by one; transformers pads each to Whisper's window."""
    config, assumed, asr = setting.config, setting.assumed, setting.asr
    if config.transcripts.train_source == "corpus":
        clips -= assumed.clips
    window = float(WINDOW_S)
    if config.models.asr.format == "whisper_ctranslate2":
        window = min(window, assumed.seconds + config.transcripts.padding_s)
    flops = costs.encoder_flops(asr, window, asr.layers)
    step = setting.launches(asr.decoder_layers) + 4 * asr.decoder / (1e9 * setting.card.bandwidth_gb)
    seconds = setting.seconds(0.0, 0.0, asr.layers, flops) + assumed.asr_tokens * step
    flops += 2.0 * assumed.asr_tokens * asr.decoder
    return Work("transcripts", "all", corpora, clips * flops, clips * seconds)


def _before_alignment(setting: Setting, systems: list[str], corpora: int) -> Iterator[Work]:
    config = setting.config
    if config.teacher.adapt and systems:
        yield _trained(setting, "adapt_teacher", "teacher", config)
    every = {system: setting.resolved(system) for system in systems}
    adapted = {s: own for s, own in every.items() if own.adapter.type != "none"}
    for name, own in {variant(config, s, WARM_START_SECTIONS): own for s, own in adapted.items()}.items():
        yield _trained(setting, "warm_start", name, own)
    taught = {s: own for s, own in every.items() if own.teacher.responses != "reference"}
    for name, own in {variant(config, s, RESPONSES_SECTIONS): own for s, own in taught.items()}.items():
        sampling = own.teacher.sampling
        rows = setting.aligned * sampling.samples
        flops = 2.0 * rows * setting.assumed.caption_tokens * setting.llm.weights
        yield Work("teacher_responses", name, corpora, flops, setting.decoding(rows, ROWS, sampling.temperature > 0))
    cached = {s: own for s, own in every.items() if reads_cached_logits(own)}
    for name, own in {variant(config, s, TEACHER_SECTIONS): own for s, own in cached.items()}.items():
        step = scoring(setting, "teacher_logits", own, BATCH, 1)
        batches = responses(setting, own) / BATCH
        yield Work("teacher_logits", name, corpora, batches * step.flops, batches * step.seconds)


def responses(setting: Setting, config: AlignCapConfig) -> int:
    """Return the number of responses that a system's teacher scores; a clip has one reference caption."""
    generated = config.teacher.sampling.samples
    return setting.aligned * {"reference": 1, "generated": generated, "both": 1 + generated}[config.teacher.responses]


def _before_preference(setting: Setting, systems: list[str]) -> Iterator[Work]:
    sampled = {candidates_name(setting.config, system): system for system in systems}
    for name, system in sampled.items():
        own = setting.resolved(system).preference.candidates
        rows = own.utterances * own.samples
        flops = 2.0 * rows * setting.assumed.candidate_tokens * setting.llm.weights
        each = clips_at_once(own) * own.samples
        yield Work("candidates", name, 1, flops, setting.decoding(rows, each, sampled=True))
    for one in asked(setting):
        if one.of != TEST_CAPTIONS and one.judge == "local":
            yield _judged(setting, "judge_scores", one)
    for name, system in {pairs_name(setting.config, system): system for system in systems}.items():
        config = setting.resolved(system)
        step = scoring(setting, "reference_logps", config, TOGETHER, 2)
        batches = ceil(config.preference.pairs.limit / TOGETHER)
        yield Work("reference_logps", name, 1, batches * step.flops, batches * step.seconds)


def _judged(setting: Setting, stage: str, one: Asked) -> Work:
    """Return the work of the judge ``local``: the captions of a clip and both questions are one sequence."""
    size = setting.config.preference.judge.local.batch_size
    answers = ceil(one.captions * len(ASPECTS) / one.calls)
    shared = round(0.8 * setting.assumed.judge_tokens)
    batch = Batch(
        size, shared, setting.assumed.judge_tokens - shared, answers, setting.assumed.asked_tokens + 1, 1.0, 1
    )
    flops = costs.forward_flops(setting.judge, 0, batch)
    moved = costs.moved_bytes(setting.judge, batch, setting.size, setting.fused)
    batches = ceil(one.calls / size)
    seconds = setting.seconds(flops, moved, setting.judge.layers)
    return Work(stage, one.of, one.jobs, batches * flops, batches * seconds)
