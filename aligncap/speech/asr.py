"""Transcripts: the text of a training corpus, or automatic speech recognition, which test corpora always use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.config import Compute, Transcripts
from aligncap.errors import CorpusError
from aligncap.progress import track

MAX_TOKENS = 64  # limits the output when Whisper loops on noise


class Transcriber:
    """Whisper speech recognition: by faster-whisper where the folder holds CTranslate2 weights, else by transformers.

    Decoding does not sample and uses a fixed number of threads, so that equal audio gives equal text.
    """

    def __init__(self, folder: Path, compute: Compute, beam_size: int = 1) -> None:
        self.beam_size = beam_size
        import torch

        self.fast: Any = None
        if (folder / "model.bin").is_file():
            from faster_whisper import WhisperModel

            cuda = compute.device != "cpu" and torch.cuda.is_available()
            self.fast = WhisperModel(
                str(folder),
                device="cuda" if cuda else "cpu",
                compute_type="float16" if cuda else "int8",
                cpu_threads=compute.threads,
            )
            return
        from transformers import AutoTokenizer, WhisperFeatureExtractor, WhisperForConditionalGeneration

        from aligncap.models.device import pick_device

        self.device = pick_device(compute)
        # Weights may be stored in half precision; samples are fp32.
        self.model: Any = WhisperForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.model.requires_grad_(False).eval()
        torch.nn.Module.to(self.model, self.device)
        self.extractor = WhisperFeatureExtractor.from_pretrained(folder)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def transcribe(
        self,
        samples: NDArray[np.float32],
        language: str | None = None,
        task: Literal["transcribe", "translate"] = "transcribe",
    ) -> tuple[str, float]:
        """Transcribe a clip; return its text and mean token log-probability.

        Args:
            samples: Samples [n], mono, 16 kHz.
            language: ISO 639-1 code, or None to detect the language.
            task: ``transcribe`` for the words as spoken, or ``translate`` for English.
        """
        if self.fast is not None:
            segments, _ = self.fast.transcribe(
                samples,
                language=language,
                task=task,
                beam_size=self.beam_size,
                temperature=0.0,
                without_timestamps=True,
                condition_on_previous_text=False,
                max_new_tokens=MAX_TOKENS,
            )
            found = list(segments)
            text = " ".join(segment.text.strip() for segment in found).strip()
            return text, float(np.mean([segment.avg_logprob for segment in found])) if found else 0.0
        return self._transformers(samples, language, task)

    def _transformers(self, samples: NDArray[np.float32], language: str | None, task: str) -> tuple[str, float]:
        """Transcribe windows of 30 s, the input length of Whisper, in turn; a word at their border may be lost."""
        import torch

        texts, scores = [], []
        window = self.extractor.n_samples
        for start in range(0, len(samples), window):
            piece = self.extractor(samples[start : start + window], sampling_rate=16_000, return_tensors="pt")
            found = self.model.generate(
                piece.input_features.to(self.device),
                language=language,
                task=task,
                num_beams=self.beam_size,
                do_sample=False,
                max_new_tokens=MAX_TOKENS,
                return_dict_in_generate=True,
                output_scores=True,
            )
            if self.beam_size > 1:
                scores.append(float(found.sequences_scores[0]))
            else:
                steps = torch.stack(list(found.scores))[:, 0].log_softmax(-1)
                scores.append(float(steps.gather(1, found.sequences[0, -len(steps) :, None]).mean()))
            texts.append(" ".join(self.tokenizer.decode(found.sequences[0], skip_special_tokens=True).split()))
        return " ".join(filter(None, texts)), float(np.mean(scores))


@dataclass(frozen=True)
class TranscriptSettings:
    """Settings of the transcripts of a corpus.

    Attributes:
        transcripts: Task and source.
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
        asr: Manifest of the ASR model; None where every clip has text.
    """

    audio: Path
    labels: Path | None
    asr: Path | None


def write_transcripts(settings: TranscriptSettings, inputs: TranscriptInputs, out: Path) -> None:
    """Write the artifact ``transcripts`` of a corpus: its own text where a clip has some, else that of ASR.

    Raises:
        CorpusError: Labels are given for a test corpus, or a clip without text is left and no ASR model is given.
    """
    config = settings.transcripts
    clips = artifacts.read_rows(inputs.audio, "audio")
    own: dict[str, str] = {}
    if inputs.labels is not None:
        if settings.role == "test":
            raise CorpusError(f"{inputs.labels}: a test corpus's own transcripts may not be read; they are ASR")
        labels = artifacts.read_rows(inputs.labels, "labels")
        own = {row["utterance_id"]: row["transcript"] for row in labels if row["transcript"] is not None}
    rows = {
        row["utterance_id"]: _row(row["utterance_id"], own[row["utterance_id"]], row["language"], "corpus", 0.0)
        for row in clips
        if row["utterance_id"] in own
    }
    if silent := [row for row in clips if row["utterance_id"] not in own]:
        from aligncap.models.sources import model_folder
        from aligncap.speech.activity import at_one_level, load_speech

        if inputs.asr is None:
            raise CorpusError(
                f"{inputs.labels}: {silent[0]['utterance_id']} has no transcript; set transcripts.train_source: asr"
            )
        transcriber = Transcriber(model_folder(inputs.asr), settings.compute, config.beam_size)
        translate = config.task == "translate"
        for row in track(silent, "transcripts"):
            samples = at_one_level(load_speech(row))
            text, logprob = transcriber.transcribe(samples, row["language"], config.task)
            source, language = ("translated", "en") if translate else ("asr", row["language"])
            rows[row["utterance_id"]] = _row(row["utterance_id"], text, language, source, logprob)
    in_order = [rows[row["utterance_id"]] for row in clips]
    artifacts.write(in_order, out, "transcripts", "transcripts", config.model_dump())


def _row(utterance: str, text: str, language: str, source: str, logprob: float) -> dict[str, Any]:
    return {
        "utterance_id": utterance,
        "transcript": text,
        "language": language,
        "source": source,
        "avg_logprob": logprob,
    }
