"""A captioner with the interface of a ``transformers`` pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aligncap.serving.captioner import BATCH, Captioner

if TYPE_CHECKING:
    from aligncap.config import Compute
    from aligncap.serving.sounds import Sound


class CaptionPipeline:
    """A callable captioner for all inputs that the speech pipelines of ``transformers`` take.

    Attributes:
        task: Name of the task, ``speech-emotion-captioning``.
        captioner: Captioner that does the work.
        batch_size: Number of clips that go through adapter and LLM at once.
    """

    task = "speech-emotion-captioning"

    def __init__(self, captioner: Captioner, batch_size: int = BATCH) -> None:
        self.captioner, self.batch_size = captioner, batch_size

    def __call__(
        self,
        inputs: Sound | Iterable[Sound],
        language: str | None = None,
        max_new_tokens: int = 40,
        batch_size: int | None = None,
        return_clues: bool = False,
    ) -> list[dict[str, Any]]:
        """Caption one clip or several.

        Args:
            inputs: Path, array ``[n]`` at 16 kHz, mapping with ``array`` and ``sampling_rate`` (Hz), or any iterable of
                these, such as a column of ``datasets``.
            language: ISO 639-1 of the speech; detected where None.
            max_new_tokens: Maximum length of a caption in tokens.
            batch_size: Batch size in place of the pipeline's.
            return_clues: Whether to also return clues, transcript, duration_s, finished, familiarity and
                warnings.

        Returns:
            ``[{"caption": …}]``, one mapping per clip, in order.

        Raises:
            AudioError: A clip is not usable audio; the message says which and why.
        """
        one = isinstance(inputs, str | Path | Mapping | np.ndarray)
        sounds: Any = [inputs] if one else inputs
        found = self.captioner.caption_all(sounds, language, max_new_tokens, batch_size or self.batch_size)
        if return_clues:
            return [{key: value for key, value in vars(caption).items() if key != "path"} for caption in found]
        return [{"caption": caption.caption} for caption in found]


def pipeline(
    model: str | Path | Captioner,
    models: str | Path | None = None,
    compute: Compute | None = None,
    batch_size: int = BATCH,
) -> CaptionPipeline:
    """Make a pipeline from a checkpoint folder or from a loaded captioner.

    Args:
        model: Folder ``results/{experiment}/checkpoints/{system}``, a folder of ``Captioner.save``, or a captioner.
        models: Folder of the base models, as in ``Captioner.load``.
        compute: Device, threads and precision, as in ``Captioner.load``.
        batch_size: Number of clips that go through adapter and LLM at once.

    Raises:
        ModelError: As in ``Captioner.load``.

    Examples:
        >>> describe = pipeline("results/default/checkpoints/aligncap")  # doctest: +SKIP
        >>> describe("speech.wav")  # doctest: +SKIP
        [{'caption': 'The speaker sounds sorrowful and talks at a slow pace.'}]
    """
    captioner = model if isinstance(model, Captioner) else Captioner.load(model, models, compute)
    return CaptionPipeline(captioner, batch_size)
