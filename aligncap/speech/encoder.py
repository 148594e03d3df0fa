"""The frozen speech encoder: it maps the samples of a clip to the hidden states of every layer, without padding.

The Whisper encoder of transformers refuses input shorter than 30 s and ignores the attention mask, so that padding
would be encoded as speech. Its forward pass is therefore written out here without padding (ours). Other encoders
(wav2vec2, HuBERT, WavLM) are run by ``AutoModel``. Clips are encoded one by one, so that the result for a clip does not
depend on other clips.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aligncap.errors import ModelError
from aligncap.speech.audio import SAMPLE_RATE

WINDOW = 30 * SAMPLE_RATE  # samples; Whisper's position embeddings end here
FFT, HOP = 400, 160  # samples; Whisper's analysis window and step of its spectrogram
CONVERTED = "encoder"  # subfolder of a converted CTranslate2 model
IN_TRAINING_ONLY = {"masked_spec_embed"}  # what stands for samples that training masks; some checkpoints lack it


class _Body(Protocol):
    """The encoder of a model family: it maps a window of samples ``[n]`` to states ``[n_layers + 1, T, dim]``."""

    extractor: Any

    def __call__(self, samples: Tensor) -> Tensor: ...


class SpeechEncoder:
    """A frozen speech encoder, which ``load_encoder`` makes."""

    def __init__(self, body: _Body, device: torch.device) -> None:
        self._body = body
        self._device = device
        self.mel = body.extractor  # transformers' feature extractor, which makes the input of the first layer

    @torch.inference_mode()
    def encode(self, samples: NDArray[np.float32]) -> Tensor:
        """Compute the hidden states of a clip.

        Args:
            samples: Samples ``[n]``, float32, mono, 16 kHz, full scale 1. More than 30 s are split into equal windows.

        Returns:
            Hidden states ``[n_layers + 1, n_frames, dim]``, fp32 on the CPU, at 50 frames a second. Index 0 is the
            input of the first layer; that of the encoder's last layer includes its final layer norm where it has one.
        """
        windows = np.array_split(samples, max(1, -(-len(samples) // WINDOW)))
        states = [self._body(torch.from_numpy(np.ascontiguousarray(w)).to(self._device)) for w in windows]
        return torch.cat(states, dim=1).float().cpu()


def load_encoder(folder: Path, device: torch.device, last: int | None = None) -> SpeechEncoder:
    """Load a frozen speech encoder from a model folder that ``fetch_model`` made.

    Args:
        folder: transformers folder (Whisper, or an encoder that ``AutoModel`` can load), or CTranslate2 Whisper with
            its converted encoder in the subfolder ``encoder``.
        device: Device of the encoder.
        last: Last hidden states that are read. No more layers than these need are computed, and ``encode`` then
            returns fewer.

    Raises:
        ModelError: The folder is not a transformers folder, or lacks weights of the encoder.
    """
    from transformers import AutoConfig

    folder = folder / CONVERTED if (folder / CONVERTED).is_dir() else folder
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder}: not a speech encoder that transformers can load: {error}".split("\n")[0]
        ) from error
    body = _Whisper(folder, last) if config.model_type == "whisper" else _Generic(folder, last)
    return SpeechEncoder(body.to(device).eval().requires_grad_(False), device)


def _load(kind: Any, folder: Path, **settings: Any) -> Any:
    """Load a model in fp32, and refuse it where weights that its states depend on would stay random."""
    model, report = kind.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **settings
    )
    if missing := sorted(name for name in report["missing_keys"] if name not in IN_TRAINING_ONLY):
        raise ModelError(f"{folder}: lacks {len(missing)} weights of the encoder, such as {missing[0]}; fetch again")
    return model


class _Whisper(nn.Module):
    def __init__(self, folder: Path, last: int | None) -> None:
        from transformers import WhisperFeatureExtractor
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        class Encoder(WhisperEncoder):
            _keys_to_ignore_on_load_unexpected = [r"decoder\.", r"^proj_out"]  # of a whole Whisper, which has them

        super().__init__()
        # In the folder of a whole Whisper, the names of the encoder's weights have a prefix.
        names = {r"^(model\.)?encoder\.": ""}
        self.encoder = _load(Encoder, folder, attn_implementation="sdpa", key_mapping=names)
        self.extractor = WhisperFeatureExtractor(feature_size=self.encoder.config.num_mel_bins)
        self.whole = last is None or last >= len(self.encoder.layers)
        if not self.whole:
            self.encoder.layers = self.encoder.layers[:last]

    def forward(self, samples: Tensor) -> Tensor:
        """Compute the hidden states of samples ``[n]``, at most 30 s, of all layers that are kept."""
        # Zeros follow the end, as in Whisper's padding, because the spectrogram would mirror the signal there.
        padded = np.pad(samples.cpu().numpy(), (0, FFT))
        ready = self.extractor(padded, sampling_rate=SAMPLE_RATE, padding="do_not_pad", return_tensors="pt")
        mel = ready.input_features[:, :, : max(1, len(samples) // HOP)].to(samples.device)  # [1, n_mels, 2 T]
        encoder: Any = self.encoder
        hidden = nn.functional.gelu(encoder.conv1(mel))
        hidden = nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)  # [1, T, dim]
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        states = [hidden]
        for layer in encoder.layers:
            states.append(layer(states[-1], None))
        if self.whole:
            states[-1] = encoder.layer_norm(states[-1])
        return torch.cat(states)


class _Generic(nn.Module):
    def __init__(self, folder: Path, last: int | None) -> None:
        from transformers import AutoFeatureExtractor, AutoModel

        super().__init__()
        self.extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        self.model = _load(AutoModel, folder)
        layers = getattr(getattr(self.model, "encoder", None), "layers", None)
        if last is not None and isinstance(layers, nn.ModuleList):
            # One more than is read, for the encoder's final layer norm is applied to the last one that is there.
            self.model.encoder.layers = layers[: last + 1]

    def forward(self, samples: Tensor) -> Tensor:
        """Compute the hidden states ``[n_layers + 1, T, dim]`` of samples ``[n]``."""
        ready = self.extractor(samples.cpu().numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        output = self.model(**ready.to(samples.device), output_hidden_states=True)
        return torch.cat(output.hidden_states)
