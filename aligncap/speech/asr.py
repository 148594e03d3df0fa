"""Transcripts: the corpus's own text for training corpora, automatic speech recognition for test corpora."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from aligncap import artifacts
from aligncap.config import Compute, Transcripts
from aligncap.errors import CorpusError
from aligncap.progress import track

MAX_TOKENS = 64  # a Whisper that loops on noise stops here


class Transcriber:
    """Whisper: through faster-whisper where the folder holds CTranslate2 weights, else through transformers.

    Decoding is greedy at temperature 0 with a fixed number of threads, so equal audio gives equal text.
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

        from aligncap.device import pick_device

        self.device = pick_device(compute)
        self.model: Any = WhisperForConditionalGeneration.from_pretrained(folder)
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
        """Text and mean token log-probability of one clip.

        Args:
            samples: mono, 16 kHz.
            language: ISO 639-1, or None to detect it.
            task: the words as spoken, or in English.
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
        import torch

        features = self.extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
        names = ["<|startoftranscript|>", f"<|{language or 'en'}|>", f"<|{task}|>", "<|notimestamps|>"]
        known = [i for i in self.tokenizer.convert_tokens_to_ids(names) if i is not None]
        prompt = torch.tensor([known], device=self.device)
        with torch.no_grad():
            memory = self.model.model.encoder(features.to(self.device))
            logprobs = []
            for _ in range(MAX_TOKENS):
                step = self.model(encoder_outputs=memory, decoder_input_ids=prompt).logits[0, -1].log_softmax(-1)
                best = int(step.argmax())
                logprobs.append(float(step[best]))
                if best == self.tokenizer.eos_token_id:
                    break
                prompt = torch.cat([prompt, prompt.new_tensor([[best]])], dim=1)
        text = self.tokenizer.decode(prompt[0, len(known) :], skip_special_tokens=True)
        return " ".join(text.split()), float(np.mean(logprobs))


def write_transcripts(
    config: Transcripts,
    compute: Compute,
    role: str,
    audio: Path,
    labels: Path | None,
    asr_manifest: Path | None,
    out: Path,
) -> None:
    """Write the transcripts of a corpus.

    Args:
        config: task and source.
        compute: device and threads.
        role: ``train`` or ``test``; a test corpus is always transcribed (DESIGN section 2, leakage rule 1).
        audio: the ``audio`` artifact.
        labels: the corpus's own text; training corpora only.
        asr_manifest: the ASR model; None where every text is the corpus's own.
        out: the ``transcripts`` artifact.

    Raises:
        CorpusError: own text was asked for and an utterance has none.
    """
    rows = []
    clips = artifacts.read_rows(audio, "audio")
    if labels is not None:
        if role == "test":
            raise CorpusError(f"{labels}: a test corpus's own transcripts may not be read; they are ASR")
        own = {row["utterance_id"]: row["transcript"] for row in artifacts.read_rows(labels, "labels")}
        for row in clips:
            text = own.get(row["utterance_id"])
            if text is None:
                raise CorpusError(
                    f"{labels}: {row['utterance_id']} has no transcript; set transcripts.train_source: asr"
                )
            rows.append(_row(row["utterance_id"], text, row["language"], "corpus", 0.0))
    else:
        from aligncap.captioner.sources import model_folder
        from aligncap.speech.audio import load_audio

        assert asr_manifest is not None
        transcriber = Transcriber(model_folder(asr_manifest), compute, config.beam_size)
        translate = config.task == "translate"
        for row in track(clips, "transcripts"):
            samples = load_audio(row["audio_path"], max_duration_s=np.inf)
            text, logprob = transcriber.transcribe(samples, row["language"], config.task)
            source, language = ("translated", "en") if translate else ("asr", row["language"])
            rows.append(_row(row["utterance_id"], text, language, source, logprob))
    artifacts.write(rows, out, "transcripts", "transcripts", config.model_dump())


def _row(utterance: str, text: str, language: str, source: str, logprob: float) -> dict[str, Any]:
    return {
        "utterance_id": utterance,
        "transcript": text,
        "language": language,
        "source": source,
        "avg_logprob": logprob,
    }
