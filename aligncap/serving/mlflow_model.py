"""The captioner behind MLflow's scoring server: `mlflow models serve` loads it by the name of this module.

MLflow calls ``_load_pyfunc`` with the copy of the checkpoint in the logged model. Nothing is pickled, and the logged
model does not hold the base models, which ``models_beside`` finds.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap.errors import AudioError
from aligncap.serving.captioner import BATCH, MAX_DURATION_S, Captioner, PreparedClip
from aligncap.serving.locations import VARIABLE
from aligncap.serving.sounds import Recording, read_sound
from aligncap.speech.audio import fault_of

if TYPE_CHECKING:
    import pandas as pd

AUDIO_FOLDER = "ALIGNCAP_AUDIO_ROOT"
MAX_NEW_TOKENS = 40


def models_beside() -> Path:
    """Return the folder of the base models: ``ALIGNCAP_MODELS``, else ``models`` where the server was started.

    The folders above the checkpoint are not searched, because MLflow itself keeps logged models in a folder ``models``.
    """
    return Path(os.environ.get(VARIABLE) or "models")


def _sound(row: Mapping[str, str]) -> dict[str, Any] | Path:
    if "audio" in row:
        try:
            content = base64.b64decode("".join(row["audio"].split()), validate=True)
        except ValueError as error:
            raise AudioError(f"audio: not base64 ({error})") from None
        return {"bytes": content, "path": row.get("path", "audio")}
    if "path" not in row:
        raise AudioError("a row without audio; give 'audio' (the file in base64) or 'path'")
    root = os.environ.get(AUDIO_FOLDER)
    if not root:
        raise AudioError(f"{row['path']}: paths are off; start the server with {AUDIO_FOLDER} set to the recordings")
    path = (Path(root) / row["path"]).resolve()
    if not path.is_relative_to(Path(root).resolve()):
        raise AudioError(f"{row['path']}: not below {AUDIO_FOLDER}")
    return path


class ServedCaptioner:
    """The model object to which MLflow sends its requests."""

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Caption every row.

        Args:
            model_input: N rows with ``audio``, a sound file in base64, of any format that ``Captioner`` reads, or
                ``path``, a file below ``ALIGNCAP_AUDIO_ROOT``; and ``language``, ISO 639-1, which the ASR detects where
                it is absent. Recordings longer than 60 s are refused.
            params: Mapping with ``max_new_tokens``, the maximum length of a caption in tokens.

        Returns:
            N mappings in order with caption, clues, transcript, duration_s, familiarity, warnings, and error, which
            says why a recording has no caption and is null for the others.
        """
        limit = int((params or {}).get("max_new_tokens", MAX_NEW_TOKENS))
        # pandas fills missing cells of a row with None or NaN.
        rows = [
            {str(key): value for key, value in row.items() if isinstance(value, str) and value}
            for row in model_input.to_dict("records")
        ]
        results: list[dict[str, Any]] = []
        for start in range(0, len(rows), BATCH):
            results += self._batch(rows[start : start + BATCH], limit)
        return results

    def _batch(self, rows: list[dict[str, str]], limit: int) -> list[dict[str, Any]]:
        heard: dict[int, PreparedClip] = {}
        results: list[dict[str, Any]] = [
            {
                "caption": None,
                "clues": [],
                "transcript": None,
                "duration_s": None,
                "familiarity": None,
                "warnings": [],
                "error": None,
            }
            for _ in rows
        ]
        for number, own in enumerate(self._captioner.prepare_each(map(_recording, rows))):
            if isinstance(own, AudioError):
                results[number]["error"] = str(own)
            else:
                heard[number] = own
        said = self._captioner.describe_each(list(heard.values()), limit)
        for number, caption in zip(heard, said, strict=True):
            if isinstance(caption, AudioError):
                results[number]["error"] = str(caption)
                continue
            results[number] |= {
                "caption": caption.caption,
                "clues": caption.clues,
                "transcript": caption.transcript,
                "duration_s": caption.duration_s,
                "familiarity": caption.familiarity,
                "warnings": caption.warnings,
            }
        return results


def _recording(row: dict[str, str]) -> Recording | AudioError:
    try:
        with fault_of(row.get("path", "audio")):
            name, clip = read_sound(_sound(row), MAX_DURATION_S)
    except AudioError as error:
        return error
    return Recording(clip.samples, row.get("language"), name, clip.warnings)


def _load_pyfunc(data_path: str) -> ServedCaptioner:
    """Load the model for MLflow; ``data_path`` is the checkpoint's folder, as in ``Captioner.load``."""
    return ServedCaptioner(Captioner.load(data_path, models_beside()))
