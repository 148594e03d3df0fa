"""The ASR in float32 and int8 on the same clips: how long each takes, and how many texts differ.

Clips are taken evenly from each folder, whose name is followed by their language. `--out` keeps the texts, so that runs
under other instructions can be compared (`CT2_FORCE_CPU_ISA=AVX2`, one of CTranslate2's).

    python benchmarks/asr_arithmetic.py ../shared/data/ravdess/audio=en ../shared/data/emodb/audio=de --out here.json
    CT2_FORCE_CPU_ISA=AVX2 python benchmarks/asr_arithmetic.py ... --against here.json
"""

import argparse
import json
import time
from pathlib import Path

from clips import of_languages

from aligncap.config import Compute, Transcripts
from aligncap.speech.asr import Transcriber
from aligncap.speech.audio import load_audio

KINDS = ("float32", "int8")


def main() -> None:
    """Read the options, transcribe, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="FOLDER=LANGUAGE")
    parser.add_argument("--clips", type=int, default=20, help="of each folder")
    parser.add_argument("--model", type=Path, default=Path("models/whisper-base"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()

    clips = of_languages(options.folders, options.clips)
    compute = Compute(device="cpu", threads=1, precision="fp32")
    asr = {kind: Transcriber(options.model, compute, Transcripts(compute_type=kind)) for kind in KINDS}
    seconds = dict.fromkeys(KINDS, 0.0)
    texts: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for number, (path, language) in enumerate([clips[0], *clips]):  # the first warms up
        samples = load_audio(path)
        for kind in KINDS:
            start = time.process_time()
            text, _ = asr[kind].transcribe(samples, language)
            if number:
                seconds[kind] += time.process_time() - start
                texts[kind].append(text)
    for kind in KINDS:
        print(f"{kind}: {seconds[kind] / len(clips):.2f} s a clip")
    print(f"float32 / int8: {seconds['float32'] / seconds['int8']:.2f}")
    print(f"texts of int8 that differ from float32's: {_differ(*texts.values())} of {len(clips)}")
    if options.against:
        others = json.loads(options.against.read_text("utf-8"))
        for kind in KINDS:
            print(f"{kind}: {_differ(texts[kind], others[kind])} differ from {options.against}'s")
    if options.out:
        options.out.write_text(json.dumps(texts, ensure_ascii=False, indent=1), "utf-8")


def _differ(one: list[str], other: list[str]) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    main()
