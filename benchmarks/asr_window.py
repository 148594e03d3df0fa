"""How much silence Whisper needs behind a clip: errors of the words, and seconds, for `transcripts.padding_s`.

Whisper was trained on windows of 30 s, and most of its time goes into encoding what of them is empty. Clips are taken
at random from each training corpus that says what is spoken; no test corpus is read. Word and character error rates are
of texts in lower case without punctuation, by jiwer; an interval is of 95 %, over clips. Below 0 in "less 30 s", a
window makes fewer errors than the whole one.

    python benchmarks/asr_window.py ../shared/data --clips 40 --out build/asr_window.json
"""

import argparse
import json
import random
import re
import time
import unicodedata
from pathlib import Path

import jiwer
import pandas as pd

from aligncap.config import Compute, Transcripts
from aligncap.evaluation import bootstrap
from aligncap.evaluation.wording import bounds, markdown_table
from aligncap.speech.asr import WINDOW_S, Transcriber
from aligncap.speech.audio import load_audio

CORPORA = {"ravdess": "en", "nemo": "pl", "emodb": "de", "emovo": "it", "koremo": "ko"}
RESAMPLES = 2000


def plain(text: str) -> str:
    """Return a text in lower case, without punctuation."""
    return " ".join(re.sub(r"[^\w\s]", " ", unicodedata.normalize("NFKC", text).casefold()).split())


def errors(said: str, written: str) -> dict[str, int]:
    """Count wrong words and characters, and those that were said."""
    words = jiwer.process_words(said, written)
    signs = jiwer.process_characters(said.replace(" ", ""), written.replace(" ", ""))
    return {
        "wrong words": words.substitutions + words.deletions + words.insertions,
        "words": len(said.split()),
        "wrong characters": signs.substitutions + signs.deletions + signs.insertions,
        "characters": len(said.replace(" ", "")),
    }


def main() -> None:
    """Read the options, transcribe, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with a folder of each corpus")
    parser.add_argument("--clips", type=int, default=40, help="of each corpus")
    parser.add_argument("--paddings", type=float, nargs="+", default=[0, 1, 3, 6, 10, WINDOW_S], metavar="SECONDS")
    parser.add_argument("--model", type=Path, default=Path("models/whisper-base"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    compute = Compute(device="cpu", threads=1, precision="fp32")
    asr = {pad: Transcriber(options.model, compute, Transcripts(padding_s=pad)) for pad in options.paddings}
    rows = []
    for corpus, language in CORPORA.items():
        lines = (options.data / corpus / "utterances.jsonl").read_text("utf-8").splitlines()
        for clip in random.Random(options.seed).sample([json.loads(line) for line in lines], options.clips):
            samples = load_audio(options.data / corpus / clip["audio"])
            said = plain(clip["transcript"])
            for pad in options.paddings:
                begun = time.process_time()
                text, _ = asr[pad].transcribe(samples, language)
                took = time.process_time() - begun
                row = {"corpus": corpus, "clip": clip["id"], "padding_s": pad, "text": text, "seconds": took}
                row["found"] = asr[pad].whisper.detect(samples) == language
                rows.append(row | errors(said, plain(text)))
        print(f"{corpus}: {options.clips} clips", flush=True)
        options.out.write_text(json.dumps(rows, ensure_ascii=False, indent=0) + "\n", "utf-8")
    print("\n".join(table(rows, options.paddings)))


def table(rows: list[dict], paddings: list[float]) -> list[str]:
    """Return the lines of the table, and of the character errors of each corpus."""
    own = {pad: pd.DataFrame([row for row in rows if row["padding_s"] == pad]) for pad in paddings}
    whole = own[max(paddings)]
    clips = list(zip(whole["corpus"], whole["clip"], strict=True))

    def rate(wrong: pd.Series, of: pd.Series, sign: str = "") -> str:
        counted, all_of = wrong.to_numpy(float), of.to_numpy(float)
        found = bootstrap.measured(clips, lambda w: bootstrap.weighted_ratio(w, counted, all_of), RESAMPLES, 0)
        return f"{found['value']:{sign}.3f} {bounds(found, 3, sign)}"

    body = [
        [
            f"{pad:g}",
            f"{found['seconds'].mean():.2f}",
            rate(found["wrong words"], found["words"]),
            rate(found["wrong characters"], found["characters"]),
            rate(found["wrong characters"] - whole["wrong characters"], found["characters"], "+"),
            f"{(found['text'] == whole['text']).mean():.0%}",
            f"{found['found'].sum()} of {len(clips)}",
        ]
        for pad, found in own.items()
    ]
    heads = ["padding_s", "s of one core", "word errors", "character errors", "less those of 30 s"]
    heads += ["same text", "language found"]
    sums = {
        pad: found.groupby("corpus", sort=False)[["wrong characters", "characters"]].sum() for pad, found in own.items()
    }
    each = [
        [
            corpus,
            *(f"{one.loc[corpus, 'wrong characters'] / one.loc[corpus, 'characters']:.3f}" for one in sums.values()),
        ]
        for corpus in CORPORA
    ]
    by_corpus = markdown_table("l" + "r" * len(paddings), ["character errors", *(f"{p:g} s" for p in paddings)], each)
    return [*markdown_table("rrrrrrr", heads, body), *by_corpus]


if __name__ == "__main__":
    main()
