"""Speech features and transcripts of a folder of clips, against what a user of the same models would write.

Features: the feature extractor and encoder of transformers on windows of 30 s, eight clips at once, against ours: the
frames of the clip alone, the layers that are read, one thread a clip. Their numbers differ, because an encoder that
sees silence behind a clip gives other states; what the table compares is the time for features of the same shape.

Transcripts: faster-whisper one file after another with all threads, against ours, with `transcripts.padding_s` as it is
by default and with the whole window. "same words" counts the clips whose text is faster-whisper's.

All take turns on the same clips; a ratio is of medians, in brackets the smallest and largest of a round.

    python benchmarks/listening.py ../shared/data/emodb/audio --language de --clips 40 --model models/whisper-base
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clips import evenly, parser_of_turns, speed_lines, take_turns
from numpy.typing import NDArray
from torch import Tensor

from aligncap.config import Compute, Features, Transcripts
from aligncap.evaluation.wording import markdown_table
from aligncap.speech.asr import WINDOW_S, Transcriber
from aligncap.speech.audio import SAMPLE_RATE, load_audio
from aligncap.speech.encoder import CONVERTED, load_encoder
from aligncap.speech.features import pool_layers
from aligncap.speech.parallel import each_in_a_thread

BATCH, FRAME = 8, 320  # clips, samples of a frame of the encoder
Clips = list[NDArray[np.float32]]


def padded(folder: Path) -> Callable[[Clips], list[Tensor]]:
    """Encode as transformers does: every clip is a window of 30 s, and all layers ``[L, T, D]`` are computed."""
    from transformers import WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    place = folder / CONVERTED if (folder / CONVERTED).is_dir() else folder
    names = {r"^(model\.)?encoder\.": ""}  # in the folder of a whole Whisper
    encoder: Any = WhisperEncoder.from_pretrained(
        place, dtype=torch.float32, attn_implementation="sdpa", key_mapping=names
    )
    extractor = WhisperFeatureExtractor(feature_size=encoder.config.num_mel_bins)

    @torch.inference_mode()
    def work(clips: Clips) -> list[Tensor]:
        found = []
        for start in range(0, len(clips), BATCH):
            own = clips[start : start + BATCH]
            ready = extractor(own, sampling_rate=SAMPLE_RATE, return_tensors="pt")
            states = encoder(ready.input_features, output_hidden_states=True).hidden_states
            lengths = [max(1, len(clip) // FRAME) for clip in own]
            found += [torch.stack([layer[row, :length] for layer in states]) for row, length in enumerate(lengths)]
        return found

    return work


def alone(folder: Path, threads: int) -> Callable[[Clips], int]:
    """Encode as the rule ``speech_features`` does."""
    encoder = load_encoder(folder, torch.device("cpu"), max(Features().layers))

    def work(clips: Clips) -> int:
        found = each_in_a_thread(lambda clip: pool_layers(encoder.encode(clip), Features()), clips, threads)
        return sum(own.shape[1] for own in found)

    return work


def one_by_one(
    folder: Path, threads: int, language: str | None, task: str = "transcribe"
) -> Callable[[Clips], list[str]]:
    """Transcribe as the users of faster-whisper do."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=threads)

    def work(clips: Clips) -> list[str]:
        options: dict[str, Any] = {"beam_size": 1, "temperature": 0.0, "without_timestamps": True, "task": task}
        found = (model.transcribe(clip, language=language, **options)[0] for clip in clips)
        return [" ".join(segment.text.strip() for segment in segments) for segments in found]

    return work


def ours(folder: Path, compute: Compute, language: str, padding_s: float) -> Callable[[Clips], list[str]]:
    """Transcribe as the rule ``transcripts`` does."""
    asr = Transcriber(folder, compute, Transcripts(padding_s=padding_s))

    def work(clips: Clips) -> list[str]:
        return [text for text, _ in each_in_a_thread(lambda clip: asr.transcribe(clip, language), clips, asr.threads)]

    return work


def compared(
    ways: dict[str, Callable[[Clips], Any]], clips: Clips, rounds: int
) -> tuple[list[list[str]], dict[str, Any]]:
    """Let all ways take turns; return a line for each, and what they found."""
    spent, found = take_turns({name: partial(work, clips) for name, work in ways.items()}, rounds)
    return speed_lines(spent, len(clips)), found


def main() -> None:
    """Read the options, time, and print two tables."""
    parser = parser_of_turns(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--language", required=True)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", type=Path, default=Path("models/whisper-base"))
    options = parser.parse_args()
    clips = [load_audio(path) for path in evenly(options.folder, options.clips)]
    compute = Compute(device="cpu", threads=options.threads, precision="fp32")
    torch.set_num_threads(options.threads)
    print(
        f"{len(clips)} clips of {np.mean([len(clip) for clip in clips]) / SAMPLE_RATE:.1f} s, {options.rounds} rounds\n"
    )

    whole = padded(options.model)
    ways: dict[str, Callable[[Clips], Any]] = {
        "transformers, 30 s": lambda clips: sum(pool_layers(own, Features()).shape[1] for own in whole(clips)),
        "ours": alone(options.model, options.threads),
    }
    lines, frames = compared(ways, clips, options.rounds)
    assert len(set(frames.values())) == 1, frames
    print("\n".join(markdown_table("lrr", ["features", "s a clip", "times as fast"], lines)))

    default = Transcripts().padding_s
    ways = {
        "faster-whisper": one_by_one(options.model, options.threads, options.language),
        "ours, whole window": ours(options.model, compute, options.language, WINDOW_S),
        f"ours, {default:g} s behind": ours(options.model, compute, options.language, default),
    }
    lines, texts = compared(ways, clips, options.rounds)
    first = texts["faster-whisper"]
    for line in lines:
        same = sum(one == other for one, other in zip(first, texts[line[0]], strict=True))
        line.append(f"{same} of {len(clips)}")
    print("\n".join(markdown_table("lrrr", ["transcripts", "s a clip", "times as fast", "same words"], lines)))


if __name__ == "__main__":
    main()
