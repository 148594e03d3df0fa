"""Captions of a folder of recordings, against a loop of `generate` of transformers.

End to end: reading, features, transcript, clues, caption. The loop pads features to windows of 30 s and computes all
layers of the encoder, transcribes one clip after another with faster-whisper, and captions batches of eight with
`generate`. Finding speech, measuring prosody and the tagger are ours on both sides, because no public tool has them.
Captions differ where features or transcripts do, because an encoder that sees silence behind a clip gives other states.

Decoding alone: the same prompts for both, so that the captions are the same up to rounding.

    python benchmarks/captioning.py ../shared/data/emosec/audio --clips 48
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clips import arithmetic, evenly, parser_of_turns, speed_lines, take_turns
from listening import one_by_one, padded
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt, embed_prompt
from aligncap.config import Compute, ModelSource
from aligncap.evaluation.wording import markdown_table
from aligncap.serving.captioner import BATCH as OURS
from aligncap.serving.captioner import Captioner, PreparedClip
from aligncap.serving.locations import PRETRAINED, base_model
from aligncap.speech.audio import load_audio

BATCH, NEW_TOKENS = 8, 40


class Padded:
    """The speech encoder as transformers runs it."""

    def __init__(self, folder: Path) -> None:
        self._states = padded(folder)

    def encode(self, samples: NDArray[np.float32]) -> Tensor:
        """Return the states of all layers."""
        return self._states([samples])[0]


class OneByOne:
    """The ASR as the users of faster-whisper run it."""

    def __init__(self, folder: Path, threads: int, task: str) -> None:
        self._texts = one_by_one(folder, threads, None, task)

    def transcribe(self, samples: NDArray[np.float32], language: str | None) -> tuple[str, float]:
        """Return the text; nothing reads the log-probability."""
        return self._texts([samples])[0], 0.0


def with_mask(rows: list[Tensor], side: str) -> tuple[Tensor, Tensor]:
    """Pad rows ``[T, H]`` on a side to ``[B, T, H]``, and return the mask ``[B, T]`` of what is there."""
    there = [torch.ones(len(row), dtype=torch.long) for row in rows]
    inputs, mask = (pad_sequence(part, batch_first=True, padding_side=side) for part in (rows, there))
    return inputs, mask


def by_transformers(model: CaptionModel, prompts: list[Prompt], **settings: Any) -> list[list[int]]:
    """Decode a batch that is padded on the left, as the users of transformers do; return token ids with the end."""
    embed = model.llm.get_input_embeddings()
    rows = [embed_prompt(prompt, embed, model.device) for prompt in prompts]
    inputs, mask = with_mask(rows, "left")
    ends = {"eos_token_id": model.end_id, "pad_token_id": model.end_id, "max_new_tokens": NEW_TOKENS}
    with torch.no_grad():
        said = model.llm.generate(inputs_embeds=inputs, attention_mask=mask, **ends, **settings).tolist()
    return [ids[: ids.index(model.end_id) + 1] if model.end_id in ids else ids for ids in said]


def captions(model: CaptionModel, prompts: list[Prompt]) -> list[str]:
    """Caption a batch greedily with transformers."""
    return [model.decode(ids) for ids in by_transformers(model, prompts, do_sample=False)]


def loop(captioner: Any, files: list[Path]) -> list[str]:
    """Caption files as a user of the libraries would."""
    clips = [captioner.prepare_clip(load_audio(path)) for path in files]
    said = []
    for start in range(0, len(clips), BATCH):
        said += captions(captioner.model, prompts_of(captioner, clips[start : start + BATCH]))
    return said


def libraries(checkpoint: Path, compute: Compute) -> Any:
    """Return a captioner whose models are run by the libraries alone."""
    captioner: Any = Captioner.load(checkpoint, compute=compute)
    sources = {role: ModelSource(**source) for role, source in captioner.system["models"].items()}
    captioner._encoder = Padded(base_model(captioner.models, sources["speech_encoder"]))
    asr = base_model(captioner.models, sources["asr"])
    captioner._transcriber = OneByOne(asr, compute.threads, captioner.system["transcripts"]["task"])
    captioner.model.llm.set_attn_implementation("sdpa")  # as transformers has it by default
    return captioner


def table(title: str, spent: dict[str, list[float]], said: dict[str, list[str]], clips: int) -> str:
    """Return the table of ways that took turns, with the share of captions that are those of the first."""
    first = next(iter(said.values()))
    lines = speed_lines(spent, clips)
    for line in lines:
        line.append(f"{sum(one == other for one, other in zip(first, said[line[0]], strict=True))} of {clips}")
    return "\n".join(markdown_table("lrrr", [title, "s a clip", "times as fast", "same captions"], lines))


def parser_of_clips(doc: str | None, clips: int) -> argparse.ArgumentParser:
    """Return a parser for a script that lets a captioner hear so many clips of a folder."""
    parser = parser_of_turns(doc)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=PRETRAINED)
    parser.add_argument("--clips", type=int, default=clips)
    parser.add_argument("--threads", type=int, default=2)
    return parser


def prompts_of(captioner: Captioner, clips: list[PreparedClip]) -> list[Prompt]:
    """Return the speech inputs of clips."""
    with torch.no_grad():
        return captioner.model.speech_prompts([clip.example for clip in clips])


def main() -> None:
    """Read the options, time all in turn and print two tables."""
    parser = parser_of_clips(__doc__, 48)
    options = parser.parse_args()
    compute = Compute(device="cpu", precision="fp32", threads=options.threads)
    files = evenly(options.folder, options.clips)
    captioner, plain = Captioner.load(options.checkpoint, compute=compute), libraries(options.checkpoint, compute)
    whole: dict[str, Any] = {
        "loop over the libraries": lambda: loop(plain, files),
        "ours": lambda: [own.caption for own in captioner.caption_all(files)],
    }
    print(table("end to end", *take_turns(whole, options.rounds), len(files)))

    clips = [captioner.prepare_clip(load_audio(path)) for path in files]
    prompts = prompts_of(captioner, clips)
    batches = [prompts[start : start + BATCH] for start in range(0, len(prompts), BATCH)]
    own = [clips[start : start + OURS] for start in range(0, len(clips), OURS)]
    alone: dict[str, Any] = {
        "`generate` of transformers": lambda: [t for part in batches for t in captions(plain.model, part)],
        "ours": lambda: [one.caption for part in own for one in captioner.describe(part)],
    }
    print(table("decoding alone", *take_turns(alone, options.rounds), len(files)))
    captioner.model.threads = 1  # what another thread computes is not counted
    print(arithmetic(alone, len(files)))


if __name__ == "__main__":
    main()
