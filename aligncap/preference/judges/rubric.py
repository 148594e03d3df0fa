"""The scoring prompt: a versioned text file with the rubric, filled in for one caption.

Figure 5 of the paper shows a scoring prompt, but its text was not available to us; ours is ``prompts/scoring_v1.txt``.
"""

from __future__ import annotations

import importlib.resources
import re
from functools import cache
from string import Template

from aligncap.preference.facts import ClipFacts, JudgedCaption

PROMPT = "scoring_v1.txt"
ASPECTS = ("factuality", "faithfulness")


@cache
def _parts() -> dict[str, str]:
    text = (importlib.resources.files(__package__) / "prompts" / PROMPT).read_text(encoding="utf-8")
    _, *rest = re.split(r"^\[(\w+)\]\n", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(rest[::2], rest[1::2], strict=True)}


def part(name: str, **values: str) -> str:
    """Return a part of the scoring prompt with its ``$names`` filled in.

    Args:
        name: ``rubric`` (the instruction, which explains the two scores), ``facts``, ``caption``, ``json`` (asks for
            both scores), ``again`` (asks again after an unusable answer), or ``digit`` (asks for one score).
        values: Texts for the names in the part.
    """
    return Template(_parts()[name]).substitute(values)


def _quoted(text: str) -> str:
    """Quote a text as one line, with its double quotes replaced so that they cannot end the quotation."""
    return '"' + " ".join(text.split()).replace('"', "'") + '"'


def describe(facts: ClipFacts) -> str:
    """Describe the known facts of an utterance, one on each line; unknown facts are left out.

    Label and measurement are the truth; clues, transcript and references are the words of people.
    """
    truth = facts.truth
    lines = []
    if truth.emotion:
        lines.append(f"emotion: {truth.emotion}" + (f" ({truth.intensity})" if truth.intensity else ""))
    measured = [f"{name} {value}" for name in ("level", "pitch", "rate") if (value := getattr(truth, name))]
    if measured:
        lines.append(f"measured, against the speaker's other recordings: {', '.join(measured)}")
    clues = [f"{'not ' if c.negated else ''}{c.kind} {c.lemma}" for c in facts.gold]
    if clues:
        lines.append(f"said by the reference: {', '.join(dict.fromkeys(clues))}")
    if facts.references:
        lines.append(f"reference: {' / '.join(map(_quoted, facts.references))}")
    if facts.transcript.strip():
        lines.append(f"words spoken: {_quoted(facts.transcript)}")
    return "\n".join(f"- {line}" for line in lines or ["nothing"])


def facts_text(facts: ClipFacts) -> str:
    """Return the facts part of the prompt, which all captions of an utterance share."""
    return part("facts", facts=describe(facts))


def caption_text(item: JudgedCaption) -> str:
    """Return the part of the prompt with the caption."""
    filled = part("caption", caption=_quoted(item.caption))
    return filled if item.finished else f"{filled}\n{part('unfinished')}"


def messages(item: JudgedCaption) -> list[dict[str, str]]:
    """Return the chat messages that ask for a JSON answer about one caption."""
    content = f"{facts_text(item.facts)}\n\n{caption_text(item)}\n\n{part('json')}"
    return [{"role": "system", "content": part("rubric")}, {"role": "user", "content": content}]
