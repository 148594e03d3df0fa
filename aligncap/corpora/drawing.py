"""Which clips of a corpus are taken: one side of a corpus cut in two, and an order whose every beginning is even."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from aligncap.corpora.base import Utterance
from aligncap.corpora.shares import nearest_share
from aligncap.errors import CorpusError


def held_out(utterances: Sequence[Utterance], share: float, seed: int) -> set[str]:
    """Return ids of a part that shares no speaker, session, caption group or caption with the rest (leakage rule 3).

    Utterances that are connected by one of those four stay together. The connected components are shuffled, and
    those are taken that bring the part nearer to its share (``nearest_share``). At least one is taken and one left.

    Raises:
        CorpusError: All utterances are connected.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes: dict[tuple[str, str], int] = {}
    edges = []
    for number, utterance in enumerate(utterances):
        shared = {"speaker": utterance.speaker, "session": utterance.session, "group": utterance.caption_group}
        keys = [*shared.items(), *(("caption", caption) for caption in utterance.captions)]
        edges += [(number, nodes.setdefault((k, v), len(utterances) + len(nodes))) for k, v in keys if v]
    size = len(utterances) + len(nodes)
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    _, labels = connected_components(coo_array(([True] * len(edges), (rows, columns)), shape=(size, size)), False)
    components: dict[int, list[str]] = defaultdict(list)
    for utterance, component in zip(utterances, labels, strict=False):
        components[int(component)].append(utterance.utterance_id)
    if len(components) < 2:
        raise CorpusError("part: all clips hang together by speaker, session or caption, so none can be held out")
    order = [components[key] for key in sorted(components)]
    random.Random(seed).shuffle(order)
    named = {str(number): ids for number, ids in enumerate(order)}
    taken = nearest_share({name: len(ids) for name, ids in named.items()}, share * len(utterances), len(order) - 1)
    return {utterance for name in taken for utterance in named[name]}


def draw(utterances: Sequence[Utterance], seed: int) -> list[Utterance]:
    """Return all utterances in an order in which every beginning is spread evenly over emotions, then speakers.

    The session stands for the speaker where no speaker is known. Equal inputs and seeds give equal orders.
    """
    generator = random.Random(seed)
    waiting: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        waiting[(utterance.emotion or "", utterance.speaker or utterance.session)].append(utterance)
    for group in waiting.values():
        generator.shuffle(group)
    keys = list(waiting)
    generator.shuffle(keys)
    drawn: list[Utterance] = []
    emotions: Counter[str] = Counter()
    speakers: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    while keys:
        key = min(keys, key=lambda k: (emotions[k[0]], speakers[k[1]], pairs[k]))
        drawn.append(waiting[key].pop())
        emotions[key[0]] += 1
        speakers[key[1]] += 1
        pairs[key] += 1
        if not waiting[key]:
            keys.remove(key)
    return drawn
