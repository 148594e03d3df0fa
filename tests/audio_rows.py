"""Rows of the artifact ``audio`` for tests, each of one stretch of speech."""

from pathlib import Path
from typing import Any


def audio_row(utterance_id: str, path: str | Path = "x.wav", seconds: float = 1.0, **own: Any) -> dict[str, Any]:
    """The row of a clip that is speech from end to end; ``own``: columns that differ from what stands here."""
    row = {
        "utterance_id": utterance_id,
        "audio_path": str(path),
        "audio_sha256": "0",
        "sample_rate": 16_000,
        "duration_s": seconds,
        "speech": [{"start": 0, "end": round(16_000 * seconds)}],
        "speaker": "",
        "session": "",
        "language": "en",
        "split": "train",
    }
    return row | own
