"""What a clip is compared within (its speaker, session or corpus), and terciles there. Ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LEAST_CLIPS = 6  # clips of a speaker (or session) that terciles can be taken within


def reference_groups(audio: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each clip the name of the group that it is compared within.

    The speaker where there are six clips of it, else the session where it has six, else the whole corpus.
    """
    speakers, sessions = ([str(row[key]) for row in audio] for key in ("speaker", "session"))
    groups = []
    for speaker, session in zip(speakers, sessions, strict=True):
        if speaker and speakers.count(speaker) >= LEAST_CLIPS:
            groups.append(f"speaker {speaker}")
        elif session and sessions.count(session) >= LEAST_CLIPS:
            groups.append(f"session {session}")
        else:
            groups.append("corpus")
    return groups


def terciles(values: Sequence[float | None], groups: Sequence[str], names: Sequence[str]) -> list[str]:
    """Name each value by the third of its group that it falls into.

    Args:
        values: one a clip; None is named as the middle third.
        groups: of ``reference_groups``. Clips of the group ``corpus`` are compared with all clips of the corpus.
        names: of the lower, middle and upper third.
    """
    known = np.array([np.nan if value is None else value for value in values], np.float64)
    labels = np.array(groups)
    cuts = {}
    for group in set(groups):
        members = known if group == "corpus" else known[labels == group]
        members = members[~np.isnan(members)]
        cuts[group] = np.percentile(members, [100 / 3, 200 / 3]) if len(members) else (-math.inf, math.inf)
    named = []
    for value, group in zip(known, groups, strict=True):
        low, high = cuts[group]
        named.append(names[0] if value < low else names[2] if value > high else names[1])
    return named
