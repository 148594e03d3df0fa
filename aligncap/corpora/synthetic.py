"""Adapter ``synthetic``: emotional speech from espeak-ng, so that the pipeline runs where no corpus is available.

Pitch, range, rate, level and timbre are set by the emotion, and the caption is written from these settings. A voice is
a speaker. An emotion may have two manners (loud anger and cold anger), each clip is jittered, and one in seven is
weaker than the others, so that the label can be learnt across voices but not read off. It is no human speech, and
everything that shows it says "synthetic".
"""

from __future__ import annotations

import io
import logging
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from aligncap.config import Corpus
from aligncap.corpora import espeak
from aligncap.corpora.base import BadRow, Utterance, display
from aligncap.corpora.caption_grammar import CaptionContent, write_caption
from aligncap.corpora.sentences import SENTENCES
from aligncap.corpora.traits import Traits
from aligncap.errors import CorpusError
from aligncap.progress import track
from aligncap.storage import MAKING, atomic_path, storing
from aligncap.vocabulary import CLASSES

logger = logging.getLogger(__name__)

STRENGTHS = {"weak": (0.15, 0.35), "normal": (0.5, 0.85), "strong": (0.35, 1.2)}  # share of clips, factor on the manner
EMOTIONAL_WORDS = 0.4  # share of clips whose words carry the emotion too
BASE_DB, BASE_RATE = -26.0, 165  # dBFS of active speech, words a minute
JITTER = {"pitch_st": 0.8, "rate": 0.05, "level_db": 1.5}
NAMED = {"pitch_st": 1.5, "rate": 0.1, "level_db": 3.0}  # least change that a caption mentions; a smaller one is "mid"
TREMOR_HZ, TREMOR_DEPTH, TREMOR_PITCH = 6.0, 0.45, 0.04
SEMITONES_AT_ENDS = 8.0  # approximate distance of espeak-ng's pitches 0 and 100 from 50


@dataclass(frozen=True)
class Manner:
    """One way to speak an emotion, as changes from the voice's usual manner."""

    share: float  # share of the emotion's clips
    pitch_st: float  # semitones
    range_factor: float
    rate: float  # relative change
    level_db: float
    timbre: str | None = None  # trembling, whispering, harsh or breathy
    timbre_share: float = 0.0


MANNERS = {
    "neutral": (Manner(1.0, 0.0, 0.7, 0.0, 0.0),),
    "angry": (Manner(0.75, 4.0, 1.3, 0.15, 8.0, "harsh", 0.7), Manner(0.25, -2.5, 0.8, -0.15, 0.0, "harsh", 0.9)),
    "happy": (Manner(0.8, 4.5, 1.7, 0.15, 4.0), Manner(0.2, 3.0, 1.5, 0.0, 0.0)),
    "sad": (Manner(0.75, -3.0, 0.4, -0.28, -8.0, "breathy", 0.5), Manner(0.25, 1.0, 0.7, -0.2, -2.0, "trembling", 0.9)),
    "surprised": (Manner(0.75, 6.5, 2.0, -0.05, 5.0), Manner(0.25, 5.5, 1.9, -0.22, -2.0, "breathy", 0.5)),
    "fearful": (
        Manner(0.6, 5.0, 0.7, 0.3, -4.0, "trembling", 0.9),
        Manner(0.4, 1.0, 0.5, 0.2, -10.0, "whispering", 0.9),
    ),
    "disgusted": (Manner(0.75, -4.0, 1.2, -0.2, 1.0, "harsh", 0.7), Manner(0.25, -2.5, 0.8, 0.0, -4.0, "harsh", 0.6)),
}


@dataclass(frozen=True)
class Plan:
    """The plan of one clip before it is spoken."""

    number: int
    voice: str
    emotion: str
    strength: str
    text: str
    pitch_st: float
    range_factor: float
    rate: float
    level_db: float
    timbre: str | None

    @property
    def facts(self) -> CaptionContent:
        """Facts that the caption may mention: the settings that differ noticeably from the usual manner."""
        return CaptionContent(
            emotion=self.emotion,
            intensity=self.strength if self.emotion != "neutral" else "normal",
            level=_named(self.level_db, NAMED["level_db"], "low", "high"),
            pitch=_named(self.pitch_st, NAMED["pitch_st"], "low", "high"),
            rate=_named(self.rate, NAMED["rate"], "slow", "fast"),
            timbre=self.timbre,
        )

    @property
    def job(self) -> espeak.Speech:
        """Job for espeak-ng."""
        voice = self.voice
        if self.timbre == "whispering":
            language, _, variant = voice.partition("+")
            voice = f"{language}+{'whisperf' if variant.startswith('f') else 'whisper'}"
        pitch = 50 + 50 * self.pitch_st / SEMITONES_AT_ENDS
        return espeak.Speech(
            text=self.text,
            voice=voice,
            rate=round(np.clip(BASE_RATE * (1 + self.rate), 80, 450)),
            pitch=round(np.clip(pitch, 0, 100)),
            pitch_range=round(np.clip(50 * self.range_factor, 0, 100)),
        )


def _named(change: float, least: float, down: str, up: str) -> str | None:
    return up if change > least else down if change < -least else None


def plan_clips(cfg: Corpus, seed: int) -> list[Plan]:
    """Plan voice, emotion, words and prosody of every clip: voices and emotions in turn, the rest drawn.

    Raises:
        CorpusError: There are no sentences in the corpus's language, or a voice speaks another one.
    """
    if cfg.language not in SENTENCES:
        raise CorpusError(f"language '{cfg.language}': no sentences to say; choose one of {', '.join(SENTENCES)}")
    for voice in cfg.voices:
        if voice.split("+")[0].split("-")[0] != cfg.language:
            raise CorpusError(f"voices: '{voice}' does not speak '{cfg.language}'; name voices of that language")
    sentences = SENTENCES[cfg.language]
    generator = random.Random(f"{seed} {cfg.language} {cfg.style}")
    plans = []
    for number in range(cfg.clips or 0):
        turn, position = divmod(number, len(CLASSES))
        emotion = CLASSES[position]
        voice = cfg.voices[(turn + position) % len(cfg.voices)]  # each emotion takes all voices in turn
        strength = generator.choices(list(STRENGTHS), [share for share, _ in STRENGTHS.values()])[0]
        factor = STRENGTHS[strength][1]
        manner = generator.choices(MANNERS[emotion], [m.share for m in MANNERS[emotion]])[0]
        telling = generator.random() < EMOTIONAL_WORDS
        plans.append(
            Plan(
                number=number,
                voice=voice,
                emotion=emotion,
                strength=strength,
                text=generator.choice(sentences[emotion if telling else "plain"]),
                pitch_st=factor * manner.pitch_st + generator.gauss(0, JITTER["pitch_st"]),
                range_factor=1 + factor * (manner.range_factor - 1),
                rate=factor * manner.rate + generator.gauss(0, JITTER["rate"]),
                level_db=factor * manner.level_db + generator.gauss(0, JITTER["level_db"]),
                timbre=manner.timbre if generator.random() < manner.timbre_share * min(factor, 1.0) else None,
            )
        )
    return plans


def shape(spoken: NDArray[np.float32], plan: Plan) -> NDArray[np.float32]:
    """Give spoken samples the clip's timbre and level.

    Args:
        spoken: Samples ``[n]`` at 22,050 Hz.
        plan: Plan of the same clip.

    Returns:
        Samples ``[n]``, peak below full scale.
    """
    samples = spoken.astype(np.float64)
    generator = np.random.default_rng(plan.number)
    if plan.timbre == "trembling":
        samples = _tremble(samples, generator)
    elif plan.timbre == "harsh":
        samples = np.tanh(8.0 * samples / max(float(np.abs(samples).max()), 1e-9))
    elif plan.timbre == "breathy":
        noise = np.diff(generator.standard_normal(len(samples) + 1))  # brighter than white
        samples = 0.8 * samples + 0.25 * _envelope(samples) * noise
    loud = np.abs(samples) > 0.05 * np.abs(samples).max()
    rms = math.sqrt(float(np.mean(samples[loud] ** 2)))
    samples *= 10 ** ((BASE_DB + plan.level_db) / 20) / max(rms, 1e-9)
    return (0.98 * np.tanh(samples / 0.98)).astype(np.float32)


def _tremble(samples: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Modulate level and pitch six times a second."""
    time = np.arange(len(samples)) / espeak.SAMPLE_RATE
    angle = 2 * np.pi * TREMOR_HZ * time + generator.uniform(0, 2 * np.pi)
    shift = TREMOR_PITCH / (2 * np.pi * TREMOR_HZ) * np.sin(angle)
    bent = np.interp(time + shift, time, samples)
    return bent * (1 - TREMOR_DEPTH * (0.5 + 0.5 * np.sin(angle)))


def _envelope(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    width = espeak.SAMPLE_RATE // 50
    return np.sqrt(np.convolve(samples**2, np.ones(width) / width, mode="same"))


class Synthetic:
    """The adapter of a synthetic corpus, which makes its clips and then describes them."""

    traits = Traits(
        "made at run time by espeak-ng; nobody's voice, free to pass on",
        hub_licence="apache-2.0",
        synthetic=True,
        captions_by_people=False,
        one_data_set=False,
    )
    has_captions = True

    def __init__(self, cfg: Corpus, seed: int, folder: Path) -> None:
        """Take the corpus's settings, the experiment's seed, and the folder for the WAV files."""
        self.cfg, self.seed, self.folder = cfg, seed, folder

    def iter_utterances(self) -> Iterator[Utterance | BadRow]:
        """Yield every clip once its WAV file is written. Raises ``CorpusError`` as ``plan_clips`` and ``espeak`` do."""
        plans = plan_clips(self.cfg, self.seed)
        with storing(self.folder, MAKING):
            self.folder.mkdir(parents=True, exist_ok=True)
            for stale in self.folder.glob("*.wav"):  # left by an earlier run with more clips
                stale.unlink()
        spoken = espeak.speak_all([plan.job for plan in plans])
        words = random.Random(f"captions {self.seed} {self.cfg.language} {self.cfg.style}")
        for plan, samples in zip(track(plans, "speaking"), spoken, strict=True):
            name = f"{self.cfg.language}_{plan.number:04d}"
            path = self.folder / f"{name}.wav"
            sound = io.BytesIO()  # libsndfile does not say why a file could not be written
            soundfile.write(sound, shape(samples, plan), espeak.SAMPLE_RATE, "PCM_16", format="WAV")
            with atomic_path(path) as temporary:
                temporary.write_bytes(sound.getvalue())
            yield Utterance(
                utterance_id=name,
                audio_path=path,
                where=f"{display(self.folder)}: clip {plan.number}",
                speaker=plan.voice,
                language=self.cfg.language or "",
                captions=(write_caption(plan.facts, self.cfg.style or "a", words),),
                emotion=plan.emotion,
                intensity=None if plan.strength == "weak" else plan.strength,  # labels know normal and strong only
                transcript=plan.text,
            )
        logger.info("%s: %d synthetic clips", display(self.folder), len(plans))
