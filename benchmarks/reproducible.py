"""What of a caption changes with the number of threads, the processor's instructions, and the precision of the LLM.

Each setting captions the same clips in a process of its own, told what to use by the variables of torch, oneDNN and
CTranslate2, and is compared with the first: one thread, fp32, what this processor has.

    python benchmarks/reproducible.py pretrained ../shared/data/ravdess/audio=en ../shared/data/emodb/audio=de
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from clips import of_languages

from aligncap.config import Compute
from aligncap.evaluation.wording import markdown_table
from aligncap.serving.captioner import Captioner, PreparedClip
from aligncap.serving.sounds import Recording, read_sound

OLDER = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "CT2_FORCE_CPU_ISA": "AVX2"}
SETTINGS: dict[str, tuple[int, str, dict[str, str]]] = {
    "one thread, fp32": (1, "fp32", {}),
    "the same again": (1, "fp32", {}),
    "two threads": (2, "fp32", {}),
    "AVX2": (1, "fp32", OLDER),
    "bf16": (1, "bf16", {}),
}


def captions(
    checkpoint: Path, models: Path, files: list[tuple[Path, str]], threads: int, precision: str
) -> list[dict[str, Any]]:
    """Caption the files, alone and as one batch; return what is heard and said."""
    compute = Compute(device="cpu", threads=threads, precision=precision)  # type: ignore[arg-type]
    captioner = Captioner.load(checkpoint, models, compute)
    recordings = [Recording(read_sound(path)[1].samples, language, str(path)) for path, language in files]
    clips = [own for own in captioner.prepare_each(recordings) if isinstance(own, PreparedClip)]
    assert len(clips) == len(files), "a recording could not be heard"
    return [
        {
            "transcript": clip.transcript,
            "tags": {clue.kind: (clue.lemma, clue.probability) for clue in clip.clues},
            "features": clip.example.features.astype(np.float32).ravel()[::97].tolist(),
            "alone": captioner.describe([clip])[0].caption,
            "batch": own.caption,
        }
        for clip, own in zip(clips, captioner.describe(clips), strict=True)
    ]


def line(name: str, own: list[dict[str, Any]], first: list[dict[str, Any]]) -> list[str]:
    """Compare a setting with the first."""

    def same(one: str, other: str) -> str:
        return str(sum(row[one] == base[other] for row, base in zip(own, first, strict=True)))

    pairs = [
        (row["tags"][kind], base["tags"][kind])
        for row, base in zip(own, first, strict=True)
        for kind in base["tags"]
        if kind in row["tags"]
    ]
    tags = sum(
        {kind: word for kind, (word, _) in row["tags"].items()}
        == {kind: word for kind, (word, _) in base["tags"].items()}
        for row, base in zip(own, first, strict=True)
    )
    moved = max((abs(one[1] - other[1]) for one, other in pairs if one[0] == other[0]), default=0.0)
    heard = max(
        np.abs(np.subtract(row["features"], base["features"])).max() for row, base in zip(own, first, strict=True)
    )
    return [
        name,
        f"{heard:.1g}",
        same("transcript", "transcript"),
        str(tags),
        f"{moved:.1g}",
        same("alone", "alone"),
        same("batch", "alone"),
    ]


def main() -> None:
    """Read the options, caption under each setting, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folders", nargs="+", metavar="FOLDER=LANGUAGE")
    parser.add_argument("--clips", type=int, default=20, help="of each folder")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--setting", choices=SETTINGS, help=argparse.SUPPRESS)  # of the process of one setting
    options = parser.parse_args()
    files = of_languages(options.folders, options.clips)
    if options.setting:
        threads, precision, _ = SETTINGS[options.setting]
        print(json.dumps(captions(options.checkpoint, options.models, files, threads, precision)))
        return
    said = {}
    for name, (threads, _, variables) in SETTINGS.items():
        told = os.environ | variables | {"OMP_NUM_THREADS": str(threads)}
        work = [sys.executable, *sys.argv, "--setting", name]
        said[name] = json.loads(subprocess.run(work, env=told, stdout=subprocess.PIPE, check=True).stdout)
    first = next(iter(said.values()))
    heads = ["setting", "features differ by", "same transcript", "same tags", "probability differs by"]
    heads += ["same caption, alone", "same caption, in a batch"]
    print(f"{len(files)} clips\n")
    print("\n".join(markdown_table("lrrrrrr", heads, [line(name, own, first) for name, own in said.items()])))


if __name__ == "__main__":
    main()
