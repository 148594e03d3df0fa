"""A small made-up test corpus, written as artifacts, and a sentence encoder that counts words."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from audio_rows import audio_row

from aligncap import artifacts

LABELS = ("angry", "sad", "happy", "neutral")
REFERENCES = {
    "angry": "The speaker sounds angry and speaks in a loud voice.",
    "sad": "A sad, quiet voice, close to tears.",
    "happy": "Cheerful and bright, speaking fast.",
    "neutral": "A neutral, matter-of-fact tone.",
}


class WordEncoder:
    """Unit vectors of hashed words: captions that share words are alike."""

    def __init__(self, folder: object = None) -> None:
        self.folder = folder

    def encode(self, texts) -> np.ndarray:
        vectors = np.full((len(texts), 64), 1e-3, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().replace(".", "").replace(",", "").split():
                vectors[row, zlib.crc32(word.encode()) % 64] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def use_word_encoder(monkeypatch) -> None:
    """Put ``WordEncoder`` where the product loads the real one."""
    import aligncap.models.sentence_encoder as text
    import aligncap.models.sources as sources

    monkeypatch.setattr(text, "SentenceEncoder", WordEncoder)
    monkeypatch.setattr(sources, "model_folder", lambda manifest: Path(manifest).parent)


def write_corpus(folder: Path, clips: int = 12, sessions: int = 0, captions: bool = True) -> dict[str, Path]:
    """Audio, references, prosody, transcripts and predicted clues of ``clips`` utterances u00, u01 …"""
    names = [f"u{number:02d}" for number in range(clips)]
    labels = [LABELS[number % len(LABELS)] for number in range(clips)]
    paths = {
        name: folder / f"{name}.parquet" for name in ("audio", "labels", "prosody", "timbre", "transcripts", "clues")
    }
    artifacts.write(
        [
            audio_row(n, seconds=2.0, session=f"s{i % sessions}" if sessions else "", split="test")
            for i, n in enumerate(names)
        ],
        paths["audio"],
        "audio",
        "test",
    )
    nothing = {"caption_group": None, "intensity": None, "valence": None, "arousal": None, "transcript": None}
    artifacts.write(
        [
            {"utterance_id": n, "captions": [REFERENCES[label]] if captions else [], "emotion": label, **nothing}
            for n, label in zip(names, labels, strict=True)
        ],
        paths["labels"],
        "labels",
        "test",
    )
    numbers = {"pitch_hz": 150.0, "pitch_range_st": 5.0, "level_db": -20.0, "rate_hz": 4.0}
    artifacts.write(
        [{"utterance_id": n, **numbers, "pitch": "mid", "level": "high", "rate": "slow"} for n in names],
        paths["prosody"],
        "prosody",
        "test",
    )
    quality = {"hnr_db": 12.0, "alpha_db": -10.0, "voiced_share": 0.8, "timbre": "breathy"}
    artifacts.write([{"utterance_id": n, **quality} for n in names], paths["timbre"], "timbre", "test")
    said = {"transcript": "come over here right now please", "language": "en", "source": "asr", "avg_logprob": -0.2}
    artifacts.write([{"utterance_id": n, **said} for n in names], paths["transcripts"], "transcripts", "test")
    artifacts.write(
        [
            {
                "utterance_id": n,
                "clues": [
                    {
                        "kind": "emotion",
                        "word": label,
                        "lemma": label,
                        "intensity": "normal",
                        "negated": False,
                        "probability": 0.8,
                    }
                ],
                "p_act": f"Emotion: {label}.",
                "p_sem_ids": [1],
            }
            for n, label in zip(names, labels, strict=True)
        ],
        paths["clues"],
        "clues",
        "test",
    )
    return paths


def write_captions(path: Path, captions: dict[str, str], finished: bool = True) -> Path:
    """A captions artifact."""
    artifacts.write(
        [{"utterance_id": n, "caption": c, "n_tokens": 5, "finished": finished} for n, c in captions.items()],
        path,
        "captions",
        "test",
    )
    return path


def write_opinions(path: Path, dominant: dict[str, str | None], labels: tuple[str, ...] = LABELS) -> Path:
    """What a second instrument finds: caption -> emotion."""
    rows = [{"caption": text, "dominant": found, "probability": 0.9} for text, found in dominant.items()]
    artifacts.write(rows, path, "second_opinions", "test", {"labels": list(labels)})
    return path


def write_evaluation(path: Path, items: dict[str, list[float | None]], labels: list[str] | None = None) -> Path:
    """An evaluation artifact: items (metric -> one value an utterance u00, u01 …), figures their means."""
    count = len(next(iter(items.values())))
    labels = labels or [LABELS[n % len(LABELS)] for n in range(count)]
    rows = [
        {
            "utterance_id": f"u{n:02d}",
            "caption": "A sad voice.",
            "cluster": f"c{n}",
            "label": labels[n],
            "dominant": "sad",
            "metric_names": list(items),
            "metric_values": [values[n] for values in items.values()],
            "flags": [],
            "assertions": [],
        }
        for n in range(count)
    ]
    figures = {}
    for metric, values in items.items():
        known = [value for value in values if value is not None]
        mean = float(np.mean(known))
        figures[metric] = {"value": mean, "ci_low": mean - 0.1, "ci_high": mean + 0.1, "n": len(known)}
    notes = {"figures": figures | {"collapse": {"value": 0.5, "ci_low": None, "ci_high": None, "n": count}}}
    artifacts.write(rows, path, "evaluation", "test", notes | {"unavailable": {}})
    return path


def write_judged(path: Path, overall: list[float | None], judge: str = "reference") -> Path:
    """Judged captions of utterances u00, u01 …"""
    rows = [
        {"utterance_id": f"u{n:02d}", "judge": judge, "factuality": None, "faithfulness": None, "overall": score}
        for n, score in enumerate(overall)
    ]
    artifacts.write(rows, path, "judged_captions", "test")
    return path
