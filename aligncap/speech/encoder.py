"""The frozen speech encoder: samples to the hidden states of every layer, one clip at a time and on real frames only.

transformers' Whisper encoder refuses input under 30 s and ignores the attention mask, so zeros would be encoded as
speech; its forward pass is written out here without padding (ours). Other encoders (wav2vec2, HuBERT, WavLM) go through
``AutoModel``. Since no clip shares a batch with another, a clip's result does not depend on its neighbours.
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

WINDOW = 30 * SAMPLE_RATE  # samples; what Whisper has positions for
FFT, HOP = 400, 160  # samples; Whisper's analysis window and step of its spectrogram
CONVERTED = "encoder"  # subfolder of a converted CTranslate2 model


class _Body(Protocol):
    """What differs between families: one window of samples ``[n]`` to hidden states ``[n_layers + 1, T, dim]``."""

    extractor: Any

    def __call__(self, samples: Tensor) -> Tensor: ...


class SpeechEncoder:
    """A frozen encoder; make one with ``load_encoder``."""

    def __init__(self, body: _Body, device: torch.device) -> None:
        self._body = body
        self._device = device
        self.mel = body.extractor  # transformers' feature extractor: what the first layer reads

    @torch.inference_mode()
    def encode(self, samples: NDArray[np.float32]) -> Tensor:
        """Hidden states of one clip.

        Args:
            samples: float32 ``[n]``, mono, 16 kHz, full scale 1; more than 30 s goes through in equal windows.

        Returns:
            fp32 ``[n_layers + 1, n_frames, dim]`` on the CPU, 50 frames a second; index 0 is the input of the first
            layer, the last one includes the encoder's final layer norm where it has one.
        """
        windows = np.array_split(samples, max(1, -(-len(samples) // WINDOW)))
        states = [self._body(torch.from_numpy(np.ascontiguousarray(w)).to(self._device)) for w in windows]
        return torch.cat(states, dim=1).float().cpu()


def load_encoder(folder: Path, device: torch.device) -> SpeechEncoder:
    """Load a frozen speech encoder from a model folder of ``fetch_model``.

    Args:
        folder: a transformers folder (Whisper, or an encoder that ``AutoModel`` knows), or a CTranslate2 Whisper with
            its converted encoder in the subfolder ``encoder``.
        device: where it runs.

    Raises:
        ModelError: not a transformers folder, or weights that do not fill the encoder.
    """
    from transformers import AutoConfig

    folder = folder / CONVERTED if (folder / CONVERTED).is_dir() else folder
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder}: not a speech encoder that transformers can load: {error}".split("\n")[0]
        ) from error
    body = _Whisper(folder) if config.model_type == "whisper" else _Generic(folder)
    return SpeechEncoder(body.to(device).eval().requires_grad_(False), device)


class _Whisper(nn.Module):
    def __init__(self, folder: Path) -> None:
        from transformers import WhisperFeatureExtractor
        from transformers.models.whisper.modeling_whisper import WhisperEncoder

        super().__init__()
        # The encoder's weights carry a prefix in folders of a whole Whisper.
        loaded: Any = WhisperEncoder.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="sdpa",
            key_mapping={r"^(model\.)?encoder\.": ""},
            output_loading_info=True,
        )
        self.encoder, report = loaded
        if report["missing_keys"]:
            missing = sorted(report["missing_keys"])
            raise ModelError(
                f"{folder}: lacks {len(missing)} weights of the encoder, such as {missing[0]}; fetch again"
            )
        self.extractor = WhisperFeatureExtractor(feature_size=self.encoder.config.num_mel_bins)

    def forward(self, samples: Tensor) -> Tensor:
        """Hidden states ``[n_layers + 1, T, dim]`` of samples ``[n]``, at most 30 s."""
        # Zeros after the end, as Whisper's own padding has them: the spectrogram would mirror the signal there.
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
        states[-1] = encoder.layer_norm(states[-1])
        return torch.cat(states)


class _Generic(nn.Module):
    def __init__(self, folder: Path) -> None:
        from transformers import AutoFeatureExtractor, AutoModel

        super().__init__()
        self.extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        self.model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=torch.float32)

    def forward(self, samples: Tensor) -> Tensor:
        """Hidden states ``[n_layers + 1, T, dim]`` of samples ``[n]``."""
        ready = self.extractor(samples.cpu().numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        output = self.model(**ready.to(samples.device), output_hidden_states=True)
        return torch.cat(output.hidden_states)
