"""The process that reads the fuzzer's inputs: 4 bytes of length and the input come in, the same with JSON goes out.

An input is ``read``, and then what was made of it is checked; it is ``refused`` by an error of the project's own in one
line; all else is a ``fault``.
"""

import json
import math
import os
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aligncap.errors import AlignCapError

MEMORY = 8 << 30  # bytes of address space, so that a bomb does not take the machine with it
Target = Callable[[bytes], None]


def audio(folder: Path) -> Target:
    """Decode a file, and ask how long it says that it is."""
    import numpy as np

    from aligncap.speech.audio import LOUDEST, MIN_DURATION_S, decode
    from aligncap.speech.decoders import told_seconds

    def read(data: bytes) -> None:
        path = folder / "clip"
        path.write_bytes(data)
        told = told_seconds(path)
        assert told is None or (math.isfinite(told) and told >= 0), f"told {told} s"
        clip = decode(path, 60.0)
        assert clip.samples.dtype == np.float32 and clip.samples.ndim == 1 and np.isfinite(clip.samples).all()
        assert np.abs(clip.samples).max() <= 2 * LOUDEST, "a resampler overshoots, but not by that"
        assert 0.9 * MIN_DURATION_S < clip.duration_s < 60.5, clip.duration_s
        assert all(one_line(text) for text in clip.warnings), clip.warnings

    return read


def clues(language: str) -> Target:
    """Parse a caption."""
    import pyarrow as pa

    from aligncap.artifacts.schemas import CLUE
    from aligncap.clues.parser import grammar
    from aligncap.vocabulary import CLASSES, EMOTIONS, KINDS, SCALES

    def read(data: bytes) -> None:
        caption = data.decode("utf-8", "replace")
        found = grammar.parse_clues(caption, language)
        pa.array([clue.to_dict() for clue in found], CLUE).validate(full=True)
        for clue in found:
            assert clue.kind in KINDS and clue.intensity in ("weak", "normal", "strong") and clue.lemma, clue
            assert clue.kind != "emotion" or clue.lemma in EMOTIONS, clue
            assert clue.kind not in SCALES or clue.lemma in SCALES[clue.kind], clue
            assert clue.word and clue.word == clue.word.strip() and clue.word in caption, clue
        assert grammar.dominant_emotion(found, language) in (None, *CLASSES)
        if language == "en":
            grammar.is_hedged(caption)
            assert grammar.parse_many([caption]) == [found]
        grammar._KNOWN.clear()  # they hold 65,536 captions, which is no growth to look for
        grammar._clues.cache_clear()

    return read


def answer(folder: Path) -> Target:
    """Read an answer of a judge: of an endpoint, of its cache (first byte c), and of people (first byte h)."""
    from aligncap.preference.judges.answers import AnswerCache, BadAnswer, read_answer
    from aligncap.preference.judges.human import read_human_answers

    cache, key = AnswerCache(folder / "cache"), "ab" * 32
    (folder / "cache" / key[:2]).mkdir(parents=True)

    def read(data: bytes) -> None:
        kind, content = data[:1], data[1:]
        if kind == b"h":
            table = folder / "people.jsonl"
            table.write_bytes(content)
            for row in read_human_answers(table):
                assert row.corpus and row.utterance_id, row
            return
        if kind == b"c":
            (folder / "cache" / key[:2] / f"{key}.json").write_bytes(content)
            found = cache.get(key)
        else:
            try:
                found = read_answer(content.decode("utf-8", "replace"))
            except BadAnswer as error:
                raise AlignCapError(str(error)) from error
        if found is not None:
            assert 1 <= found.factuality <= 5 and 1 <= found.faithfulness <= 5 and found.why.strip()

    return read


def manifest(folder: Path) -> Target:
    """Prepare a corpus of a table or a shard; the first line of the input is its extension."""
    import numpy as np
    import scipy.signal  # noqa: F401 (64 MB, which the first clip of another rate would load late)
    import soundfile

    from aligncap import artifacts
    from aligncap.config import Corpus, SpeechSettings
    from aligncap.corpora.prepare import prepare_corpus
    from aligncap.vocabulary import EMOTIONS

    soundfile.write(folder / "good.wav", 0.3 * np.sin(np.arange(3_200) / 10), 16_000)
    out = [folder / "out" / f"{name}.parquet" for name in ("audio", "labels", "skipped")]

    def read(data: bytes) -> None:
        kind, _, content = data.partition(b"\n")
        extension = kind.decode("ascii", "replace") or "csv"
        table = folder / f"m.{extension}"
        table.write_bytes(content)
        adapter = "webdataset" if extension == "tar" else "manifest"
        corpus = Corpus(adapter=adapter, role="train", root=str(table), language="en")
        prepare_corpus("c", corpus, SpeechSettings(detector="off"), 0, *out)
        heard = artifacts.read_rows(out[0], "audio")
        labels = artifacts.read_rows(out[1], "labels")
        assert [row["utterance_id"] for row in heard] == [row["utterance_id"] for row in labels]
        assert len({row["utterance_id"] for row in heard}) == len(heard)
        assert all(row["emotion"] in (None, "other", *EMOTIONS) for row in labels)
        assert all(math.isfinite(row["duration_s"]) for row in heard)
        for row in artifacts.read_rows(out[2], "skipped"):
            assert one_line(row["reason"]), row["reason"]

    return read


def one_line(text: str) -> bool:
    """Whether a message is one line of a length that a person reads."""
    return len(text.splitlines()) == 1 and "\x1b" not in text and len(text) < 2_000


def place(error: BaseException) -> str:
    """The kind of an error and where it was raised, the same for all inputs that show the same fault."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "aligncap" in frame.filename]
    last = frames[-1] if frames else None
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}" if last else type(error).__name__


def judged(target: Target, data: bytes) -> dict[str, Any]:
    """Read one input."""
    began = time.process_time()
    try:
        target(data)
        found: dict[str, Any] = {"outcome": "read"}
    except AlignCapError as error:
        found = {"outcome": "refused", "told": str(error)[:500]}
        if not one_line(str(error)):
            found = {"outcome": "fault", "kind": "not one line", "told": repr(str(error))[:500]}
    except BaseException as error:
        found = {"outcome": "fault", "kind": place(error), "told": repr(error)[:500]}
    return found | {"cpu": time.process_time() - began}


def main(name: str) -> None:
    """Read inputs from stdin until it ends."""
    inward, outward = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.chdir(folder)
        target = {
            "audio": lambda: audio(folder),
            "clues-en": lambda: clues("en"),
            "clues-zh": lambda: clues("zh"),
            "answer": lambda: answer(folder),
            "manifest": lambda: manifest(folder),
        }[name]()
        outward.write(bytes(4))
        outward.flush()
        while head := inward.read(4):
            found = json.dumps(judged(target, inward.read(int.from_bytes(head, "big")))).encode()
            outward.write(len(found).to_bytes(4, "big") + found)
            outward.flush()


if __name__ == "__main__":
    main(sys.argv[1])
