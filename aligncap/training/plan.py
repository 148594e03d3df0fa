"""The training plan: roles and tagger folds of the training utterances, drawn once and read by every stage."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from aligncap import artifacts
from aligncap.config import Splits, TaggerSettings
from aligncap.corpora.shares import nearest_share
from aligncap.errors import CorpusError

ROLES = ("adapt", "align", "preference", "dev")


def plan_training(
    splits: Splits,
    tagger: TaggerSettings,
    seed: int,
    audio: Mapping[str, Path],
    references: Mapping[str, Path],
    out: Path,
) -> None:
    """Draw a role and a tagger fold for every training utterance, so that no model predicts its training data (ours).

    All utterances of a speaker get the same role. A corpus without speakers is split by session, and one without
    sessions by caption. In each corpus the groups are shuffled and dealt to ``dev``, ``preference`` and ``adapt``, so
    that each role comes near to its share of the clips; the remaining groups get the role ``align``. The corpora of
    ``splits.preference_corpora`` have only the roles ``dev`` and ``preference``. Each of them is one fold, so its tags
    are predicted by a tagger that was not trained on it, as for a test corpus.

    Args:
        splits: Share of each role.
        tagger: Kind and number of folds.
        seed: Seed of the shuffle.
        audio: Artifact ``audio`` of each training corpus.
        references: Artifact ``labels`` of each training corpus.
        out: Artifact ``plan`` to write.

    Raises:
        CorpusError: A corpus has too few groups to give one to every role, no corpus is left to align, or all
            utterances are in one fold.
    """
    kept = set(splits.preference_corpora)
    if kept - set(audio) or not set(audio) - kept:
        raise CorpusError(
            f"splits.preference_corpora: {', '.join(sorted(kept))} must be some, not all, of the training corpora "
            f"{', '.join(sorted(audio))}"
        )
    rows = []
    for corpus_number, corpus in enumerate(sorted(audio)):
        said = artifacts.stream_rows(
            references[corpus], "labels", columns=["utterance_id", "captions", "caption_group"]
        )
        captions = {row["utterance_id"]: row for row in said}
        groups: dict[str, list[str]] = defaultdict(list)
        for row in artifacts.stream_rows(audio[corpus], "audio"):
            utterance = row["utterance_id"]
            own = captions[utterance]["caption_group"] or (captions[utterance]["captions"] or [utterance])[0]
            groups[f"{corpus}/{row['speaker'] or row['session'] or own}"].append(utterance)
        keys = sorted(groups)
        random.Random(f"{seed}/{corpus}").shuffle(keys)
        roles = _deal(corpus, keys, {key: len(groups[key]) for key in keys}, splits)
        whole = tagger.folds == "corpus" or corpus in kept
        for position, key in enumerate(keys):
            fold = tagger.n_folds + corpus_number if whole else position % min(tagger.n_folds, len(keys))
            rows += [
                {"utterance_id": u, "corpus": corpus, "speaker_key": key, "role": roles[key], "fold": fold}
                for u in groups[key]
            ]
    if len({row["fold"] for row in rows}) < 2:
        raise CorpusError(
            f"tagger.folds: {tagger.folds} gives one fold only, so no prediction can be out of fold; "
            "use 'speaker', or add a training corpus"
        )
    artifacts.write(rows, out, "plan", "plan_training")


def _deal(corpus: str, keys: list[str], sizes: Mapping[str, int], splits: Splits) -> dict[str, str]:
    shares = {"dev": splits.dev, "preference": splits.preference, "adapt": splits.adapt}
    if splits.preference_corpora:
        shares["preference"] = 0.0
    rest = "align"
    if corpus in splits.preference_corpora:
        shares, rest = {"dev": splits.dev}, "preference"
    wanted = {role: share * sum(sizes.values()) for role, share in shares.items() if share > 0}
    if len(keys) <= len(wanted):
        raise CorpusError(
            f"corpus {corpus}: {len(keys)} speakers (or sessions) cannot be split into {len(wanted) + 1} roles; "
            "set splits.preference to 0 (or splits.adapt, if teacher.adapt is false), or add speakers"
        )
    roles: dict[str, str] = {}
    for number, (role, clips) in enumerate(wanted.items()):
        remaining = {key: sizes[key] for key in keys if key not in roles}
        others = len(wanted) - number  # each role that follows, and the rest, need a group, too
        roles.update(dict.fromkeys(nearest_share(remaining, clips, len(remaining) - others), role))
    return {key: roles.get(key, rest) for key in keys}
