"""Reference groups of clips (speaker, session or corpus), and terciles of a value within them (ours)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LEAST_CLIPS = 6  # least number of clips of a speaker (or session) that is a group


def reference_groups(audio: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the name of each clip's reference group, whose clips it is compared with.

    The group is the speaker if it has at least six clips, else the session if that has as many, else the corpus.
    """
    speakers, sessions = ([str(row[key]) for row in audio] for key in ("speaker", "session"))
    of_speaker, of_session = Counter(speakers), Counter(sessions)
    groups = []
    for speaker, session in zip(speakers, sessions, strict=True):
        if speaker and of_speaker[speaker] >= LEAST_CLIPS:
            groups.append(f"speaker {speaker}")
        elif session and of_session[session] >= LEAST_CLIPS:
            groups.append(f"session {session}")
        else:
            groups.append("corpus")
    return groups


def terciles(values: Sequence[float | None], groups: Sequence[str], names: Sequence[str]) -> list[str]:
    """Name each value by its tercile within its group.

    Args:
        values: Value of each clip; None is named as the middle tercile.
        groups: Group of each clip, from ``reference_groups``. Clips of the group ``corpus`` are compared with all clips
            of the corpus.
        names: Names of the lower, middle and upper tercile.
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
