"""What changes the tags of a recording that should not: its level, and silence or line noise around the speech.

Takes clips of a corpus evenly, and tags each as it is, 12 dB softer and louder, and with five seconds of silence or of
noise at -70 dBFS before, after, and on both sides. A tag is a clue that reaches its threshold. The transcript plays no
part, so the ASR is left out.

    python benchmarks/invariance.py ../shared/data/ravdess/audio ../shared/data/emosec/audio --clips 40
"""

import argparse
from pathlib import Path

import numpy as np
from clips import evenly

from aligncap import Captioner
from aligncap.serving.locations import PRETRAINED
from aligncap.speech.audio import SAMPLE_RATE, load_audio

PADDING_S, NOISE_DBFS, GAIN_DB = 5, -70, 12


class NoWords:
    """Stands for the ASR."""

    def transcribe(self, samples: np.ndarray, language: str | None = None) -> tuple[str, float]:
        """No text."""
        return "", 0.0


def changes(samples: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The recording under each change, by name."""
    silence = np.zeros(PADDING_S * SAMPLE_RATE, np.float32)
    noise = np.random.default_rng(seed).standard_normal(len(silence)).astype(np.float32) * 10 ** (NOISE_DBFS / 20)
    padded = {}
    for name, around in (("silence", silence), (f"noise at {NOISE_DBFS} dBFS", noise)):
        for sides, parts in (
            ("before", [around, samples]),
            ("after", [samples, around]),
            ("on both sides", [around, samples, around]),
        ):
            padded[f"{name} {sides}"] = np.concatenate(parts)
    factor = 10 ** (GAIN_DB / 20)
    return {f"-{GAIN_DB} dB": samples / factor, f"+{GAIN_DB} dB": samples * factor, **padded}


def main() -> None:
    """Print a Markdown table: of how many clips no tag changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of recordings")
    parser.add_argument("--clips", type=int, default=40, help="of each folder")
    parser.add_argument("--model", type=Path, default=PRETRAINED)
    arguments = parser.parse_args()
    captioner = Captioner.load(arguments.model)
    captioner._transcriber = NoWords()
    print("| recordings | change | clips | no tag changed |\n|---|---|---:|---:|")
    for folder in arguments.folders:
        files = evenly(folder, arguments.clips)
        same: dict[str, list[bool]] = {}
        for number, file in enumerate(files):
            samples = load_audio(file)

            def tags(heard: np.ndarray) -> set[tuple[str, str]]:
                return {(clue.kind, clue.lemma) for clue in captioner.prepare_clip(heard.astype(np.float32)).clues}

            wanted = tags(samples)
            for name, changed in changes(samples, number).items():
                same.setdefault(name, []).append(tags(changed) == wanted)
        for name, held in same.items():
            print(f"| {folder.parent.name} | {name} | {len(held)} | {np.mean(held):.3f} |", flush=True)


if __name__ == "__main__":
    main()
