"""Preparation of a corpus: every clip is decoded once and described by two tables; a third lists the skipped clips."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aligncap import artifacts
from aligncap.config import Corpus, SpeechSettings
from aligncap.config.languages import LANGUAGES, WRONG
from aligncap.corpora.base import BadRow, CorpusAdapter, Utterance, display
from aligncap.corpora.drawing import draw, held_out
from aligncap.corpora.registry import make_adapter, traits_of
from aligncap.errors import AudioError, CorpusError
from aligncap.progress import track
from aligncap.speech.audio import decode, fault_of
from aligncap.speech.detector import find_speech

logger = logging.getLogger(__name__)

RULE = "prepare_corpus"


def prepare_corpus(
    name: str, cfg: Corpus, speech: SpeechSettings, seed: int, audio_out: Path, labels_out: Path, skipped_out: Path
) -> None:
    """Read a corpus through its adapter and write its three tables.

    Args:
        name: Name of the corpus, for messages.
        cfg: Settings of the corpus. ``part`` takes one side of it. ``limit`` draws clips evenly over emotions and
            speakers, and a clip that turns out to be bad is replaced.
        speech: Settings of the voice activity detector. A clip without speech is a bad one.
        seed: Seed of the draw, and of a synthetic corpus.
        audio_out: ``audio`` artifact; clips that were no files are written to ``wav/`` beside it.
        labels_out: ``labels`` artifact with the same utterances in the same order.
        skipped_out: ``skipped`` artifact: the clips left out, with reasons.

    Raises:
        CorpusError: The corpus is unusable as a whole, no clip is left, or a row is bad and ``on_error`` is fail.
        AudioError: A clip is bad and ``on_error`` is fail.
    """
    adapter = make_adapter(cfg, seed, Path(audio_out).parent / "wav")
    found: list[Utterance] = []
    skipped: list[BadRow] = []
    for item in _checked(adapter.iter_utterances(), cfg, _wants_captions(cfg, adapter, name)):
        if isinstance(item, Utterance):
            found.append(item)
        elif cfg.on_error == "fail":
            raise CorpusError(item.reason)
        else:
            skipped.append(item)
    if cfg.part is not None:
        ids = held_out(found, cfg.part.share, cfg.part.seed)
        found = [u for u in found if (u.utterance_id in ids) == (cfg.part.side == "held_out")]
    if cfg.role == "unlabelled":
        found = [u.unlabelled() for u in found]  # before `limit` draws evenly over emotions
    clips: dict[str, dict[str, Any]] = {}
    wanted = len(found) if cfg.limit is None else min(cfg.limit, len(found))
    order = found if cfg.limit is None else draw(found, seed)
    for utterance in track(order, f"decoding {name}"):
        if len(clips) == wanted:
            break
        try:
            clips[utterance.utterance_id] = _audio_row(utterance, cfg, speech)
        except AudioError as error:
            if cfg.on_error == "fail":
                raise AudioError(f"{utterance.where}: {error}") from error
            path = display(utterance.audio_path)
            skipped.append(BadRow(utterance.utterance_id, path, f"{utterance.where}: {error}"))
    if not clips:
        first = f"; first reason: {skipped[0].reason}" if skipped else ""
        raise CorpusError(f"corpus '{name}': all {len(skipped)} clips were skipped, none is left{first}")
    if skipped:
        logger.warning("corpus '%s': %d clips skipped, listed in %s", name, len(skipped), display(skipped_out))
    kept = [utterance for utterance in found if utterance.utterance_id in clips]
    notes = {"corpus": name, "adapter": cfg.adapter, "synthetic": traits_of(cfg.adapter).synthetic}
    artifacts.write([clips[utterance.utterance_id] for utterance in kept], audio_out, "audio", RULE, notes)
    artifacts.write([_labels_row(utterance) for utterance in kept], labels_out, "labels", RULE, notes)
    artifacts.write([vars(row) for row in skipped], skipped_out, "skipped", RULE, notes)


def _wants_captions(cfg: Corpus, adapter: CorpusAdapter, name: str) -> bool:
    """Return whether a clip needs a caption from the corpus; if not, it needs a label to write one from."""
    if cfg.captions.source == "corpus" and not adapter.has_captions:
        raise CorpusError(
            f"corpus '{name}': captions.source is 'corpus' but it has no captions; use grammar or bank, or, for a "
            "manifest, name the column in columns.caption"
        )
    return adapter.has_captions and cfg.captions.source in ("auto", "corpus")


def _checked(items: Iterator[Utterance | BadRow], cfg: Corpus, wants_captions: bool) -> Iterator[Utterance | BadRow]:
    """Yield the items, and bad rows for clips whose id is missing or repeated, or that cannot have a caption."""
    seen: dict[str, str] = {}
    for item in items:
        if isinstance(item, BadRow):
            yield item
            continue
        problem = None
        if wrong := next((name for name, text in _texts(item) if not _is_utf8(text)), None):
            problem = f"{wrong}: bytes that are not UTF-8; rename the file, or save its text as UTF-8"
        elif not item.utterance_id:
            problem = "the utterance id is empty; give each clip one of its own"
        elif min(item.utterance_id) < " ":
            problem = f"the utterance id {item.utterance_id!r} has a control character; give the clip another"
        elif item.utterance_id in seen:
            problem = (
                f"utterance id '{item.utterance_id}' is taken by {seen[item.utterance_id]}; give each clip its own"
            )
        elif not (item.language or cfg.language):
            problem = "language unknown; set 'language' of the corpus, or map a column to it"
        elif item.language and item.language not in LANGUAGES:
            problem = f"language {WRONG.format(item.language)}"
        elif cfg.role != "unlabelled" and wants_captions and not item.captions:
            problem = "the caption is empty; write one, or set captions.source to grammar or bank"
        elif cfg.role != "unlabelled" and not item.captions and item.emotion in (None, "other"):
            problem = f"emotion {item.emotion!r}, but captions are to be written from it; give a label or a caption"
        if problem is None:
            seen[item.utterance_id] = item.where
            yield item
        else:
            yield BadRow(item.utterance_id, display(item.audio_path), f"{item.where}: {problem}")


def _texts(utterance: Utterance) -> Iterator[tuple[str, str]]:
    """Yield all that artifacts will hold of an utterance, with names for messages."""
    for name, value in vars(utterance).items():
        texts = value if isinstance(value, tuple) else (value,)
        yield from ((name, str(text)) for text in texts if isinstance(text, str | Path))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _audio_row(utterance: Utterance, cfg: Corpus, speech: SpeechSettings) -> dict[str, Any]:
    path = display(utterance.audio_path)
    if utterance.stored is not None:
        with fault_of(path):
            stored = utterance.stored()
        utterance.audio_path.parent.mkdir(parents=True, exist_ok=True)
        with artifacts.atomic_path(utterance.audio_path) as temporary:
            Path(temporary).write_bytes(stored)
    elif utterance.missing and not utterance.audio_path.is_file():
        raise AudioError(utterance.missing)
    try:
        return _decoded_row(utterance, path, cfg, speech)
    except AudioError:
        if utterance.stored is not None:
            utterance.audio_path.unlink()  # nothing of an archive is kept but clips
        raise


def _decoded_row(utterance: Utterance, path: str, cfg: Corpus, speech: SpeechSettings) -> dict[str, Any]:
    clip = decode(path, cfg.max_duration_s)
    if clip.cut:  # label and caption are of the whole clip
        raise AudioError(f"{path}: {clip.cut}; fetch it again")
    with fault_of(path):
        parts = find_speech(clip.samples, speech, path)
        digest = artifacts.file_digest(path)
    return {
        "utterance_id": utterance.utterance_id,
        "audio_path": path,
        "audio_sha256": digest,
        "sample_rate": clip.file_rate,
        "duration_s": round(clip.duration_s, 6),
        "speech": [{"start": start, "end": end} for start, end in parts],
        "speaker": utterance.speaker,
        "session": utterance.session,
        "language": utterance.language or cfg.language,
        "split": cfg.role,
    }


def _labels_row(utterance: Utterance) -> dict[str, Any]:
    return {
        "utterance_id": utterance.utterance_id,
        "captions": list(utterance.captions),
        "caption_group": utterance.caption_group,
        "emotion": utterance.emotion,
        "intensity": utterance.intensity,
        "valence": utterance.valence,
        "arousal": utterance.arousal,
        "transcript": utterance.transcript,
    }
