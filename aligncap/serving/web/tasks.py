"""Questions for annotators: two captions of one recording, from test captions or from training candidates.

Test captions of two systems only give win rates. Candidates are samples of one captioner for training utterances, and
only answers about them may become training preferences.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aligncap import artifacts
from aligncap.errors import ArtifactError

Source = Literal["test", "candidates"]


@dataclass(frozen=True)
class Task:
    """Two captions of one recording.

    Attributes:
        source: Origin of the captions.
        corpus: Corpus of the recording.
        utterance_id: Id of the recording within its corpus.
        cluster: Cluster of the bootstrap: corpus and session where there are ten or more, else utterance.
        audio: Path of the recording.
        systems: Systems that made ``captions``; twice the same for candidates.
        captions: The two captions.
    """

    source: Source
    corpus: str
    utterance_id: str
    cluster: str
    audio: Path
    systems: tuple[str, str]
    captions: tuple[str, str]

    @property
    def key(self) -> str:
        """Key of the question; other captions of the same recording are another question."""
        what = [self.source, self.corpus, self.utterance_id, *self.systems, *self.captions]
        return hashlib.sha256(json.dumps(what, ensure_ascii=False).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Tasks:
    """The questions in an order that is the same for everybody, and the test utterances that need none."""

    asked: list[Task]
    identical: list[Task]  # test utterances with the same caption by both systems: ties without a question


def _clips(results: Path, corpus: str, split: str) -> dict[str, dict[str, Any]]:
    """Return rows of the ``audio`` artifact by utterance, with their ``cluster`` and the absolute path of the file.

    Raises:
        ArtifactError: The corpus has another role in this experiment.
    """
    path = results / "corpora" / corpus / "audio.parquet"
    rows = artifacts.read_rows(path, "audio")
    if {row["split"] for row in rows} != {split}:
        raise ArtifactError(f"{path}: corpus '{corpus}' is not a {split} corpus of this experiment; name another one")
    by_session = len({row["session"] for row in rows if row["session"]}) >= 10
    root = results.resolve().parents[1]  # paths of audio are relative to the folder that holds results/
    for row in rows:
        row["cluster"] = f"{corpus}/{row['session'] if by_session and row['session'] else row['utterance_id']}"
        row["file"] = root / row["audio_path"]
    return {row["utterance_id"]: row for row in rows}


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()) == " ".join(other.split())


def _shuffled(tasks: Sequence[Task]) -> list[Task]:
    """Sort questions by hash, the same for everybody, so that the answers of several people overlap."""
    return sorted(tasks, key=lambda task: task.key)


def test_tasks(results: Path, systems: tuple[str, str], corpora: Sequence[str] = ()) -> Tasks:
    """Return the questions about the captions of test utterances by two systems.

    Args:
        results: Folder of an experiment, ``results/{experiment}``.
        systems: The two systems.
        corpora: Test corpora; by default all that both systems captioned.

    Raises:
        ArtifactError: Captions are missing or of other utterances, or a corpus is no test corpus.
    """
    found = [{p.stem for p in (results / "captions" / system).glob("*.parquet")} for system in systems]
    chosen = list(corpora) or sorted(found[0] & found[1])
    if not chosen:
        raise ArtifactError(
            f"{results}/captions: no test corpus that both '{systems[0]}' and '{systems[1]}' captioned; "
            f"there are {sorted(p.name for p in (results / 'captions').glob('*'))}"
        )
    tasks = []
    for corpus in chosen:
        clips = _clips(results, corpus, "test")
        first, second = (
            {row["utterance_id"]: row["caption"] for row in artifacts.read_rows(path, "captions")}
            for path in (results / "captions" / system / f"{corpus}.parquet" for system in systems)
        )
        if set(first) != set(second) or not set(first) <= set(clips):
            raise ArtifactError(f"{results}/captions/*/{corpus}.parquet: other utterances; caption this corpus again")
        for name, text in first.items():
            clip = clips[name]
            captions = (text, second[name])
            tasks.append(Task("test", corpus, name, clip["cluster"], clip["file"], systems, captions))
    identical = [task for task in tasks if _same(*task.captions)]
    return Tasks(_shuffled([task for task in tasks if not _same(*task.captions)]), identical)


def candidate_tasks(results: Path, system: str, per_utterance: int = 1) -> Tasks:
    """Return pairs of candidates of training utterances, without paraphrases where some candidates differ in content.

    Args:
        results: Folder of an experiment.
        system: System that made the candidates, ``results/{experiment}/candidates/{system}.parquet``.
        per_utterance: Maximum number of questions about one recording.

    Raises:
        ArtifactError: Candidates are missing, or of utterances that preference training may not use.
    """
    from aligncap.clues.parser.grammar import parse_clues
    from aligncap.preference.pairs import assertions

    path = results / "candidates" / f"{system}.parquet"
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in artifacts.read_rows(path, "candidates"):
        if not any(_same(row["caption"], other) for other in groups[row["corpus"], row["utterance_id"]]):
            groups[row["corpus"], row["utterance_id"]].append(row["caption"])
    allowed = trainable(results)
    wrong = sorted("/".join(key) for key in groups if key not in allowed)
    if wrong:
        raise ArtifactError(f"{path}: {wrong[0]} may not train preferences (plan.parquet); sample candidates again")
    clips = {corpus: _clips(results, corpus, "train") for corpus in {corpus for corpus, _ in groups}}
    tasks = []
    for (corpus, name), captions in groups.items():
        clip = clips[corpus][name]
        said = {text: assertions(parse_clues(text), text) for text in captions}
        pairs = [
            Task("candidates", corpus, name, clip["cluster"], clip["file"], (system, system), pair)
            for pair in itertools.combinations(captions, 2)
        ]
        pairs.sort(key=lambda task: (said[task.captions[0]] == said[task.captions[1]], task.key))
        tasks += pairs[:per_utterance]
    return Tasks(_shuffled(tasks), [])


def trainable(results: Path) -> set[tuple[str, str]]:
    """Return (corpus, utterance id) of the training utterances about which candidates and preferences may be."""
    from aligncap.preference.pairs import ROLES

    rows = artifacts.read_rows(results / "plan.parquet", "plan")
    return {(row["corpus"], row["utterance_id"]) for row in rows if row["role"] in ROLES}
