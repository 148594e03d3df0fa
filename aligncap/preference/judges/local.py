"""The judge ``local``: a causal LM on this machine reads the scoring prompt, so that no data leave the machine.

A score is the expectation of the digits 1-5 under the model's distribution of the answer's first token, renormalised
over these digits. The captions of a clip and both questions share a sequence, so rubric and facts are computed once.
"""

from __future__ import annotations

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncap.artifacts import of_like_length
from aligncap.config import Compute, Judge, Prompts
from aligncap.errors import ModelError
from aligncap.preference.facts import ClipFacts, JudgedCaption, Opinion, in_blocks, opinion
from aligncap.preference.judges import rubric
from aligncap.progress import track

if TYPE_CHECKING:
    from torch import Tensor

    from aligncap.captioner.model import CaptionModel
    from aligncap.captioner.packing import Prompt

logger = logging.getLogger(__name__)

DIGITS = "12345"
CAPTIONS = 8  # captions of a clip in one sequence, because attention grows with the square of its length
LITTLE = 0.1  # mean probability of all digits below which the model does not seem to follow the prompt


def digit_tokens(tokenizer: Any) -> list[list[int]]:
    """Return, for each digit 1-5, the tokens that decode to it, with or without white space around it.

    Raises:
        ModelError: The tokenizer has no token for one of the digits.
    """
    found: dict[str, list[int]] = {digit: [] for digit in DIGITS}
    for token, text in enumerate(tokenizer.batch_decode([[i] for i in range(len(tokenizer))])):
        if text.strip() in found and text.strip():
            found[text.strip()].append(token)
    missing = [digit for digit, tokens in found.items() if not tokens]
    if missing:
        raise ModelError(
            f"models.judge: its tokenizer has no token for the digit {missing[0]}, so it cannot grade; choose another"
        )
    return list(found.values())


def digit_probabilities(logits: Tensor, tokens: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Compute the distribution over the five digits, and their total probability among all tokens.

    Args:
        logits: Logits [n, V] of the answers' first tokens.
        tokens: Tokens of each digit, from ``digit_tokens``.

    Returns:
        Probabilities [n, 5], whose rows sum to 1, and total probabilities [n].
    """
    import torch

    logs = logits.double().log_softmax(-1)
    digits = torch.stack([logs[:, list(ids)].logsumexp(-1) for ids in tokens], dim=-1)
    return digits.softmax(-1), digits.logsumexp(-1).exp()


def _clips(items: Sequence[JudgedCaption], block: Sequence[int]) -> list[tuple[ClipFacts, list[int]]]:
    """Group a block of indices of ``items`` by clip, at most ``CAPTIONS`` in a group, with the facts of the clip."""
    clips: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place in block:
        clips[items[place].corpus, items[place].utterance_id].append(place)
    return [
        (items[places[0]].facts, places[start : start + CAPTIONS])
        for places in clips.values()
        for start in range(0, len(places), CAPTIONS)
    ]


def _laid_out(
    model: CaptionModel, frame: Prompt, facts: ClipFacts, items: Sequence[JudgedCaption], filler: int
) -> tuple[Prompt, list[list[int]]]:
    """Lay out the prompt of a clip, its rubric and facts, and the responses: each a caption and one question.

    The last token of a response is not an input, so ``filler`` takes the place of the answer.
    """
    from aligncap.captioner.packing import Prompt

    head = frame.before + model.encode(f"{rubric.facts_text(facts)}\n\n")
    tails = [
        [*model.encode(f"{rubric.caption_text(item)}\n\n{rubric.part('digit', aspect=aspect)}"), *frame.after, filler]
        for item in items
        for aspect in rubric.ASPECTS
    ]
    limits = (getattr(model.llm.config, "max_position_embeddings", None), model.window)
    limit = min((own for own in limits if own is not None), default=None)
    longest = len(head) + max(map(len, tails))
    if limit is not None and longest > limit:
        raise ModelError(
            f"models.judge: the scoring prompt has {longest} tokens for '{items[0].utterance_id}' and the model takes "
            f"{limit}; choose one with a longer context"
        )
    return Prompt(head, None, ()), tails


def _answer_logits(model: CaptionModel, prompts: Sequence[Prompt], tails: Sequence[list[list[int]]]) -> Tensor:
    """Compute the logits of every response's last token, ``[n_responses, V]``, without those of other tokens."""
    import torch

    packed = model.pack(prompts, tails)
    lengths = torch.tensor([len(tail) for row in tails for tail in row])
    last = (lengths.cumsum(0) - 1).to(packed.rows.device)
    chosen = {name: getattr(packed, name)[last] for name in ("rows", "columns", "labels", "owners")}
    return model.response_logits(dataclasses.replace(packed, **chosen))


def score(settings: Judge, compute: Compute, items: Sequence[JudgedCaption], model_manifest: Path) -> list[Opinion]:
    """Return the opinions of a causal LM, in the order of ``items``.

    Args:
        settings: Batch size in clips, and weights of the two scores.
        compute: Device, threads and precision.
        items: Captions with the facts of their utterances.
        model_manifest: Manifest of the LM.

    Raises:
        ModelError: The tokenizer lacks a digit, or the LM's context is too short.
    """
    import torch

    from aligncap.captioner.model import CaptionModel
    from aligncap.models.sources import model_folder

    instructed = Prompts(instruction=rubric.part("rubric"), acoustic=False, semantic=False)
    model = CaptionModel(model_folder(model_manifest), instructed, compute)
    frame = model.text_prompt("", ())
    tokens = digit_tokens(model.tokenizer)
    chunks: list[list[tuple[list[int], Prompt, list[list[int]]]]] = []
    for block in in_blocks(items):
        rows = [
            (places, *_laid_out(model, frame, facts, [items[place] for place in places], tokens[0][0]))
            for facts, places in _clips(items, block)
        ]
        size = settings.local.batch_size
        chunks += of_like_length(rows, lambda row: len(row[1]) + sum(map(len, row[2])), size)
    points = torch.arange(1.0, 6.0, dtype=torch.float64)
    opinions: list[Opinion | None] = [None] * len(items)
    held = []
    for batch in track(chunks, "judge"):
        with torch.no_grad():
            logits = _answer_logits(model, [prompt for _, prompt, _ in batch], [tails for _, _, tails in batch])
        shares, mass = (values.cpu() for values in digit_probabilities(logits, tokens))
        held.append(mass)
        places = [place for own, _, _ in batch for place in own]
        scores = (shares @ points).reshape(len(places), len(rubric.ASPECTS))
        for row, place in enumerate(places):
            both = slice(row * len(rubric.ASPECTS), (row + 1) * len(rubric.ASPECTS))
            factuality, faithfulness = scores[row].tolist()
            opinions[place] = opinion(settings, factuality, faithfulness, _reasons(shares[both], mass[both]))
    share = float(torch.cat(held).mean()) if held else 1.0
    if share < LITTLE:
        logger.warning("the digits hold %.3f of the judge model's probability: its scores mean little", share)
    return [own for own in opinions if own is not None]


def _reasons(shares: Tensor, mass: Tensor) -> str:
    """Format the digit distributions as the rationale of the scores, because the LM gives none in words."""
    return "; ".join(
        f"{aspect} P(1..5) = {' '.join(f'{value:.2f}' for value in row)}, {float(own):.2f} of all"
        for aspect, row, own in zip(rubric.ASPECTS, shares.tolist(), mass, strict=True)
    )
