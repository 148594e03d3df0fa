"""Transcripts: the text of a training corpus, or automatic speech recognition, which test corpora always use."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from aligncap import artifacts
from aligncap.artifacts import WHOLE, Shard
from aligncap.config import Compute, Transcripts
from aligncap.config.languages import LANGUAGES, WRONG
from aligncap.errors import AudioError, ConfigError, CorpusError
from aligncap.progress import track
from aligncap.speech.audio import SAMPLE_RATE, Samples

logger = logging.getLogger(__name__)

WINDOW_S = 30  # Whisper reads so much at once (Radford et al. 2022, arXiv 2212.04356)
FRAMES_PER_SECOND = 100
MAX_TOKENS = 224  # Whisper writes at most half of its 448 positions for a window (`sample_len` of openai/whisper)
# Twice the fastest of the 3,434 transcripts of RAVDESS, nEMO, EmoDB, EMOVO and KoReMo: 12.0 tokens a second. A window
# with more than that is a repetition; a window of less than 30 s is taken for one from half of that on.
TOKENS_PER_SECOND = 24
QUIET_S = 0.1  # length of the quiet stretch in whose middle a clip is cut
WHISPER_CODES = {"jv": "jw", "nb": "no"}  # Javanese and Bokmål under the codes that Whisper has for them


class Window(NamedTuple):
    """What Whisper wrote for one window: text, mean token log-probability, and number of tokens."""

    text: str
    logprob: float
    tokens: int


class Recogniser(Protocol):
    """A Whisper of one library. Samples are ``[n]``, mono, 16 kHz, and languages are Whisper's codes."""

    def knows(self, language: str) -> bool:
        """Return whether the vocabulary has a language."""

    def detect(self, samples: Samples) -> str | None:
        """Return the language of the first window; None where the weights know one language only."""

    def write(self, samples: Samples, language: str | None, limit: int) -> Window:
        """Transcribe at most 30 s with at most ``limit`` tokens."""


class Encoding(threading.local):
    """What a thread encodes: how much of Whisper's window, and what it has just encoded, which takes most of the time.

    Args:
        encode: Encoder of features ``[n_mels, n_frames]``.
    """

    frames = WINDOW_S * FRAMES_PER_SECOND  # that are encoded of those of the window

    def __init__(self, encode: Callable[[Samples], Any]) -> None:
        self.encode = encode
        self.last: tuple[Samples, Any] | None = None

    def __call__(self, features: Samples) -> Any:
        """Encode the first frames, unless they are the last ones: the language is told of what is then transcribed."""
        features = features[..., : self.frames]
        if self.last is None or not np.array_equal(self.last[0], features):
            self.last = (features, self.encode(features))
        return self.last[1]


class _CTranslate2:
    """Weights in the format of CTranslate2, by faster-whisper."""

    def __init__(self, folder: Path, compute: Compute, settings: Transcripts) -> None:
        from faster_whisper import WhisperModel

        from aligncap.models.device import clip_threads, pick_device

        device = pick_device(compute)
        self.settings = settings
        try:
            self.model = WhisperModel(
                str(folder),
                device=device.type,
                compute_type=settings.compute_type,
                cpu_threads=1,
                num_workers=clip_threads(compute, device),
            )
        except ValueError as error:
            raise ConfigError(
                f"transcripts.compute_type: {settings.compute_type} is not computed on this {device.type}; set float32 "
                f"or auto ({error})"
            ) from None
        self.model.encode = self.encoding = Encoding(self.model.encode)
        self.prompt = 4 if self.model.model.is_multilingual else 2  # start, language, task, no timestamps

    def knows(self, language: str) -> bool:
        return self.model.hf_tokenizer.token_to_id(f"<|{language}|>") is not None

    def detect(self, samples: Samples) -> str | None:
        if not self.model.model.is_multilingual:
            return None
        self._read(samples, self.settings.padding_s)
        # without the last frame, as faster-whisper transcribes, so that both are of the same features
        features = self.model.feature_extractor(samples[: WINDOW_S * SAMPLE_RATE])[..., :-1]
        return self.model.detect_language(features=features)[0]

    def _read(self, samples: Samples, padding_s: float) -> None:
        """Let the encoder read a window's samples and so much silence behind them, at most 30 s."""
        frames = round((len(samples) / SAMPLE_RATE + padding_s) * FRAMES_PER_SECOND)
        # its second convolution halves them
        self.encoding.frames = min(WINDOW_S * FRAMES_PER_SECOND, frames + frames % 2)

    def write(self, samples: Samples, language: str | None, limit: int) -> Window:
        self._read(samples, self.settings.padding_s)
        if self.encoding.frames < WINDOW_S * FRAMES_PER_SECOND:
            fast = math.ceil(limit / 2)
            window = self._write(samples, language, fast)
            if window.tokens < fast:
                return window
            self._read(samples, WINDOW_S)  # the end was not found, and the text repeats itself
        return self._write(samples, language, limit)

    def _write(self, samples: Samples, language: str | None, limit: int) -> Window:
        segments, _ = self.model.transcribe(
            samples,
            language=language,
            task=self.settings.task,
            beam_size=self.settings.beam_size,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            # CTranslate2 writes half of the prompt's length and this number together (findings/ctranslate2_limit.sh).
            max_new_tokens=2 * limit - self.prompt,
        )
        found = list(segments)
        return Window(
            " ".join(segment.text.strip() for segment in found).strip(),
            float(np.mean([segment.avg_logprob for segment in found])) if found else 0.0,
            sum(len(segment.tokens) for segment in found),
        )


class _Transformers:
    """Weights in the format of transformers, computed in fp32."""

    def __init__(self, folder: Path, compute: Compute, settings: Transcripts) -> None:
        import torch
        from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

        from aligncap.models.device import pick_device

        self.settings = settings
        self.device = pick_device(compute)
        # Weights may be stored in half precision; samples are fp32.
        self.model: Any = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.model.requires_grad_(False).eval()
        torch.nn.Module.to(self.model, self.device)
        self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)

        # Weights of English alone take neither a language nor a task.
        self.speaks = dict(getattr(self.model.generation_config, "lang_to_id", None) or {})
        if not self.speaks and settings.task != "transcribe":
            raise ConfigError(f"transcripts.task: {settings.task}: {folder.name} knows English alone; set 'transcribe'")

    def knows(self, language: str) -> bool:
        return f"<|{language}|>" in self.speaks

    def detect(self, samples: Samples) -> str | None:
        if not self.speaks:
            return None
        (token,) = self.model.detect_language(self._spectrogram(samples[: self.extractor.n_samples])).tolist()
        return str(self.tokenizer.convert_ids_to_tokens(token)).strip("<|>")

    def write(self, samples: Samples, language: str | None, limit: int) -> Window:
        import torch

        found = self.model.generate(
            self._spectrogram(samples),
            **({"language": language, "task": self.settings.task} if self.speaks else {}),
            num_beams=self.settings.beam_size,
            do_sample=False,
            max_new_tokens=limit,
            return_dict_in_generate=True,
            output_scores=True,
        )
        if self.settings.beam_size > 1:
            logprob = float(found.sequences_scores[0])
        else:
            steps = torch.stack(list(found.scores))[:, 0].log_softmax(-1)
            logprob = float(steps.gather(1, found.sequences[0, -len(steps) :, None]).mean())
        text = " ".join(self.tokenizer.decode(found.sequences[0], skip_special_tokens=True).split())
        return Window(text, logprob, len(found.scores))

    def _spectrogram(self, samples: Samples) -> Any:
        piece = self.extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        return piece.input_features.to(self.device)


class Transcriber:
    """Whisper speech recognition: by faster-whisper where the folder holds CTranslate2 weights, else by transformers.

    Decoding does not sample and takes one thread, so that equal audio gives equal text on one machine; how far that
    holds on other processors depends on ``transcripts.compute_type`` (docs/models.md). Several threads may transcribe
    at once.
    """

    def __init__(self, folder: Path, compute: Compute, settings: Transcripts) -> None:
        """Load the weights.

        Args:
            folder: Folder of a Whisper.
            compute: Device and threads.
            settings: Task, beam size, arithmetic, and languages to leave out.

        Raises:
            ConfigError: The device does not compute in ``settings.compute_type``.
            ModelError: ``compute`` wants a GPU and there is none.
        """
        from aligncap.models.device import clip_threads, pick_device

        self.threads = clip_threads(compute, pick_device(compute))  # that may transcribe at once
        library = _CTranslate2 if (folder / "model.bin").is_file() else _Transformers
        self.whisper: Recogniser = library(folder, compute, settings)
        self.leave_out = settings.leave_out
        self.unknown: set[str] = set()  # languages that have been warned of

    def transcribe(self, samples: Samples, language: str | None = None) -> tuple[str, float]:
        """Transcribe a clip of any length; return its text and the mean token log-probability of its windows.

        A clip of more than 30 s, or one whose text reaches Whisper's limit of tokens, is cut in two at the quietest
        stretch of its middle third, and the parts are transcribed like clips.

        Args:
            samples: Samples [n], mono, 16 kHz.
            language: ISO 639-1 code, or None to detect the language; one that Whisper does not know is detected, too.
                A language of ``transcripts.leave_out`` gives no text, be it given or detected.

        Raises:
            AudioError: The language is no code of ISO 639-1.
        """
        if language in self.leave_out:
            return "", 0.0
        code = self._code(language)
        if code is None:
            code = self.whisper.detect(samples)
            if code in {WHISPER_CODES.get(name, name) for name in self.leave_out}:
                return "", 0.0
        windows = list(self._windows(samples, code))
        return " ".join(filter(None, (w.text for w in windows))), float(np.mean([w.logprob for w in windows]))

    def _code(self, language: str | None) -> str | None:
        """Return Whisper's code of a language; None where the language is to be detected."""
        if language is None:
            return None
        if language not in LANGUAGES:
            raise AudioError(f"language: {WRONG.format(language)}, or leave it out to have it detected")
        code = WHISPER_CODES.get(language, language)
        if self.whisper.knows(code):
            return code
        if language not in self.unknown:
            self.unknown.add(language)
            logger.warning("language '%s': this Whisper does not know it, so each clip's is detected", language)
        return None

    def _windows(self, samples: Samples, language: str | None) -> Iterator[Window]:
        """Yield the windows of a clip in order."""
        if len(samples) <= WINDOW_S * SAMPLE_RATE:
            limit = min(MAX_TOKENS, math.ceil(TOKENS_PER_SECOND * len(samples) / SAMPLE_RATE))
            window = self.whisper.write(samples, language, limit)
            if window.tokens < MAX_TOKENS:
                yield window
                return
        cut = quietest(samples)
        yield from self._windows(samples[:cut], language)
        yield from self._windows(samples[cut:], language)


def quietest(samples: Samples) -> int:
    """Return the sample in the middle of the stretch of 0.1 s with the least energy, in the middle third of ``[n]``."""
    length, start = round(QUIET_S * SAMPLE_RATE), len(samples) // 3
    energy = np.cumsum(np.square(samples[start : 2 * start], dtype=np.float64))
    return start + int((energy[length:] - energy[:-length]).argmin()) + length // 2


@dataclass(frozen=True)
class TranscriptSettings:
    """Settings of the transcripts of a corpus.

    Attributes:
        transcripts: Task, source, beam size and arithmetic.
        role: ``train`` or ``test``. A test corpus is always transcribed by ASR, because its text would be leakage.
        compute: Device and threads.
    """

    transcripts: Transcripts
    role: str
    compute: Compute


@dataclass(frozen=True)
class TranscriptInputs:
    """Input files of the transcripts of a corpus.

    Attributes:
        audio: Artifact ``audio``.
        labels: Artifact ``labels`` of a training corpus with its text; None to use ASR for all clips.
        asr: Manifest of the ASR model, which is loaded only where a clip has no text.
    """

    audio: Path
    labels: Path | None
    asr: Path


def write_transcripts(settings: TranscriptSettings, inputs: TranscriptInputs, out: Path, shard: Shard = WHOLE) -> None:
    """Write the artifact ``transcripts`` of a corpus: its own text where a clip has some, else that of ASR.

    Args:
        settings: What is transcribed, and how.
        inputs: Artifacts of the corpus, and the ASR model.
        out: Artifact ``transcripts`` to write, in the order of ``audio``.
        shard: Which of the clips. The text of a clip does not depend on others.

    Raises:
        CorpusError: Labels are given for a test corpus.
    """
    config = settings.transcripts
    if inputs.labels is not None and settings.role == "test":
        raise CorpusError(f"{inputs.labels}: a test corpus's own transcripts may not be read; they are ASR")
    rows = shard.of(artifacts.count_rows(inputs.audio, "audio"))
    clips = list(artifacts.stream_rows(inputs.audio, "audio", rows))
    own: dict[str, str] = {}
    if inputs.labels is not None:
        names = {row["utterance_id"] for row in clips}
        labels = artifacts.stream_rows(inputs.labels, "labels", of=names)
        own = {row["utterance_id"]: row["transcript"] for row in labels if row["transcript"] is not None}
    heard = _heard(settings, inputs, [row for row in clips if row["utterance_id"] not in own], len(clips))

    def written() -> Iterator[dict[str, Any]]:
        for clip in clips:
            name, language = clip["utterance_id"], clip["language"]
            if name in own:
                yield _row(name, own[name], language, "corpus", 0.0)
            else:
                text, logprob = next(heard)
                source, language = ("translated", "en") if config.task == "translate" else ("asr", language)
                yield _row(name, text, language, source, logprob)

    artifacts.write_rows(written(), out, "transcripts", "transcripts", config.model_dump())


def _heard(
    settings: TranscriptSettings, inputs: TranscriptInputs, silent: Sequence[Mapping[str, Any]], count: int
) -> Iterator[tuple[str, float]]:
    """Yield what the ASR writes for clips without a transcript, of ``count`` clips, and its log-probability."""
    if not silent:
        return
    from aligncap.models.sources import model_folder
    from aligncap.speech.alone import at_one_level, load_speech
    from aligncap.speech.parallel import each_in_a_thread

    if len(silent) < count:
        logger.warning(
            "%s: %d of %d clips have no transcript, the first is %s; the ASR writes them (column 'source')",
            inputs.labels,
            len(silent),
            count,
            silent[0]["utterance_id"],
        )
    transcriber = Transcriber(model_folder(inputs.asr), settings.compute, settings.transcripts)

    def written(clip: Mapping[str, Any]) -> tuple[str, float]:
        return transcriber.transcribe(at_one_level(load_speech(clip)), clip["language"])

    texts = each_in_a_thread(written, silent, transcriber.threads)
    yield from track(texts, "transcripts", len(silent))


def _row(utterance: str, text: str, language: str, source: str, logprob: float) -> dict[str, Any]:
    return {
        "utterance_id": utterance,
        "transcript": text,
        "language": language,
        "source": source,
        "avg_logprob": logprob,
    }
