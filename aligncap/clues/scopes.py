"""Scopes: what a negation denies, and what a contrast, concession or mere appearance sets aside."""

from __future__ import annotations

from collections.abc import Sequence

from aligncap.clues.chunks import Mention, Token, is_break, segment
from aligncap.clues.lexicon import CALM

NEGATORS = frozenset(
    "not n't no never without neither nor none nothing cannot nobody lacking lack absence minus".split()
)
# first word -> second words that make the pair a negator
NEGATOR_PAIRS = {
    "far": {"from"},
    "free": {"of", "from"},
    "devoid": {"of"},
    "void": {"of"},
    "empty": {"of"},
    "stripped": {"of"},
    "drained": {"of"},
    "bereft": {"of"},
    "rather": {"than"},
    "instead": {"of"},
    "anything": {"but"},
    "opposed": {"to"},
}
HARDLY = frozenset("hardly barely scarcely".split())
# "cannot hide the anger", "no mistaking the fear", "not only sad": the emotion stands
CANCEL = frozenset(
    "hide hiding contain containing control controlling conceal restrain mistake mistaking miss help stop hold holding "
    "disguise suppress mask deny doubt calm only just merely simply shake escape wonder believe attempt soften resist "
    "care dare".split()
)
# first word -> second words that cancel the negator: "no end of joy", "can't bear the sadness", "not know how to hide"
CANCEL_PAIRS = {"no": {"wonder", "end", "matter"}, "nothing": {"but"}}
ABLE = frozenset("can ca could cannot".split())
WONDERING = frozenset("what how where why whether if which".split())
PRESENCE = frozenset(
    "present hear heard there audible felt feel evident found find detected detect noticed notice apparent".split()
)
ABSENT = frozenset("absent missing nowhere lacking gone absence".split())
CONTRAST = frozenset("but yet however nevertheless nonetheless".split())
CONCESSION = frozenset("though although while whereas despite albeit notwithstanding".split())
ATTEMPT = frozenset(
    "try attempt pretend struggle fight strive effort manage wish want refuse hope appear affect".split()
)
FAKE = frozenset("feigned fake forced false falsely pretended sham put-on affected".split())
UNDER = frozenset("beneath underneath under behind below".split())
OUTSIDE = frozenset("surface outwardly outside appearance superficially".split())
ENDS_SCOPE = frozenset("but yet however though although while whereas because".split())
LIST_POS = frozenset("NOUN ADJ ADV DET CCONJ PROPN VERB".split())


def mark_negated(tokens: Sequence[Token], found: Sequence[Mention]) -> None:
    """Set ``negated`` on every mention that lies within an odd number of negations."""
    depth = [0] * len(tokens)
    for at in range(len(tokens)):
        start = _negation_start(tokens, at)
        if start is None:
            continue
        for i in range(start, _negation_end(tokens, start)):
            depth[i] += 1
    for mention in found:
        inside = depth[mention.start] % 2 == 1
        # a phrase that holds its own negator ("can not believe") is not denied by it
        own = any(t.text in NEGATORS for t in tokens[mention.start : mention.end])
        mention.negated = (inside and not own) or _denied_after(tokens, mention)


def _negation_start(tokens: Sequence[Token], at: int) -> int | None:
    """Index where the scope of a negator at ``at`` begins, None where there is no negator or it is cancelled."""
    text = tokens[at].text
    following = [t.text for t in tokens[at + 1 : at + 4]]
    if text in NEGATORS:
        if following[:1] and following[0] in CANCEL_PAIRS.get(text, ()):
            return None
        near = tokens[at + 1 : min(at + 4, segment(tokens, at)[1])]
        cancelled = any(t.text in CANCEL or t.lemma in CANCEL for t in near if t.pos != "NOUN")
        cancelled = cancelled or _is_overwhelmed(tokens, at, following)
        return None if cancelled and text != "without" else at + 1
    if text in NEGATOR_PAIRS and following[:1] and following[0] in NEGATOR_PAIRS[text]:
        denied_before = text == "anything" and any(t.text in NEGATORS or t.text == "nobody" for t in tokens[:at])
        return None if denied_before else at + 2
    if text in HARDLY and at + 1 < len(tokens) and tokens[at + 1].tag.startswith("JJ"):
        return at + 1
    if text == "little" and (at == 0 or tokens[at - 1].text not in ("a", "the")) and tokens[at].pos == "ADJ":
        return at + 1
    return None


def _is_overwhelmed(tokens: Sequence[Token], at: int, following: Sequence[str]) -> bool:
    """'Cannot bear the sadness', 'does not know what to do with her anger': the emotion is there."""
    able = tokens[at].text in ABLE or (at > 0 and tokens[at - 1].text in ABLE)
    return (able and "bear" in following) or (following[:1] == ["know"] and bool(WONDERING.intersection(following)))


def _negation_end(tokens: Sequence[Token], start: int) -> int:
    """Index after the scope: the clause's end, a contrast, or a comma that is not part of a list closed by or/nor."""
    so_much = [t.text for t in tokens[start : start + 2]] == ["so", "much"]
    at = start
    while at < len(tokens):
        token = tokens[at]
        if token.text in ENDS_SCOPE or (so_much and token.text == "as"):
            return at
        if token.text == "," and not _is_list(tokens, at):
            return at
        if token.text != "," and is_break(token):
            return at
        if token.text == "nor":
            return at  # it negates what follows by itself
        if token.text == "and" and (_new_predicate(tokens, at + 1) or _negated_anew(tokens, at + 1)):
            return at
        at += 1
    return at


def _new_predicate(tokens: Sequence[Token], at: int) -> bool:
    for token in tokens[at : at + 4]:
        if is_break(token):
            return False
        if token.pos in ("VERB", "AUX") and token.tag in ("VBZ", "VBP", "VBD", "VBG"):
            return True
        if token.text in ("with", "quite", "rather", "very", "full", "clearly"):
            return True
    return False


def _negated_anew(tokens: Sequence[Token], at: int) -> bool:
    """'No effort and no anger', 'the tone is not high and the pace not slow': each has a negator of its own."""
    return any(token.text in NEGATORS for token in tokens[at : segment(tokens, at)[1]])


def _is_list(tokens: Sequence[Token], comma: int) -> bool:
    """Whether "or"/"nor" follows the comma at ``comma`` with nothing but a list between."""
    for token in tokens[comma + 1 : comma + 9]:
        if token.text in ("or", "nor"):
            return True
        if token.text != "," and token.pos not in LIST_POS:
            return False
    return False


def _denied_after(tokens: Sequence[Token], mention: Mention) -> bool:
    """'Anger is absent', 'joy is not to be heard'."""
    negator = False
    for token in tokens[mention.end : mention.end + 6]:
        if is_break(token) or token.text in ENDS_SCOPE or token.text == "and":
            return False
        if token.text in ABSENT or (negator and token.text in PRESENCE):
            return True
        negator = negator or token.text in ("not", "n't", "never")
    return False


def mark_background(tokens: Sequence[Token], found: Sequence[Mention]) -> None:
    """Set ``background`` on mentions that are conceded, superficial, feigned, attempted, or before a contrast."""
    aside = [False] * len(tokens)

    def put_aside(start: int, end: int) -> None:
        aside[start:end] = [True] * (end - start)

    for at, token in enumerate(tokens):
        if token.text in OUTSIDE and not (
            token.text == "surface" and at and tokens[at - 1].text == "the" and _is_to(tokens, at)
        ):
            put_aside(*segment(tokens, at, joints=True))
        elif token.lemma in ATTEMPT and any(t.text == "to" for t in tokens[at + 1 : at + 5]):
            put_aside(at, _clause_end(tokens, at))
        elif token.text in FAKE:
            put_aside(at, min(at + 4, segment(tokens, at)[1]))
        elif token.text in UNDER and at + 1 < len(tokens) and tokens[at + 1].pos in ("DET", "ADJ", "NOUN", "PRON"):
            put_aside(at, segment(tokens, at)[1])
        elif token.text in CONCESSION or _is_mild_if(tokens, at):
            put_aside(at, _concession_end(tokens, at))
        elif token.text == "than" and any(t.text == "more" for t in tokens[max(0, at - 5) : at]):
            put_aside(at, segment(tokens, at)[1])
        elif token.text == "less" and any(t.text == "than" for t in tokens[at + 1 : at + 5]):
            put_aside(at, next(i for i in range(at, len(tokens)) if tokens[i].text == "than"))
    for mention in found:
        mention.background = aside[mention.start] or _modifies_next(mention, found)
    for at in range(len(tokens)):
        if _is_contrast(tokens, at):
            _contrast(tokens, at, found)


def _modifies_next(mention: Mention, found: Sequence[Mention]) -> bool:
    """Whether an emotion word only colours the one that follows: "blissfully calm", "horrified disgust"."""
    if mention.kind != "emotion" or mention.pos not in ("ADV", "ADJ", "VERB"):
        return False
    heads = ("ADJ", "VERB") if mention.pos == "ADV" else ("NOUN",)
    follows = [m for m in found if m.kind == "emotion" and m.start == mention.end and m.value != "feeling"]
    return any(m.pos in heads and m.weight >= CALM for m in follows)


def _is_to(tokens: Sequence[Token], at: int) -> bool:
    """'close to the surface' is no disguise."""
    return at >= 2 and tokens[at - 2].text in ("to", "below", "beneath", "under")


def _is_mild_if(tokens: Sequence[Token], at: int) -> bool:
    """'peaceful, if a touch wistful'."""
    following = [t.text for t in tokens[at + 1 : at + 3]]
    return tokens[at].text == "if" and (following[:1] == ["a"] or following[:1] in (["slightly"], ["somewhat"]))


def _clause_end(tokens: Sequence[Token], at: int) -> int:
    end = at + 1
    while end < len(tokens) and not is_break(tokens[end]) and tokens[end].text not in ENDS_SCOPE:
        end += 1
    return end


def _concession_end(tokens: Sequence[Token], at: int) -> int:
    """Up to the comma where the concession opens the sentence, else to its end or a contrast."""
    opens = at == 0 or tokens[at - 1].text in (".", ";") or (at == 1 and tokens[0].text in ("even", "and"))
    end = at + 1
    while end < len(tokens):
        text = tokens[end].text
        if text in (".", ";", "!", "?") or text in CONTRAST or (opens and text == ","):
            break
        end += 1
    return end


def _is_contrast(tokens: Sequence[Token], at: int) -> bool:
    text = tokens[at].text
    if text not in CONTRAST:
        return False
    if text == "but" and at and tokens[at - 1].text in ("nothing", "anything", "all", "everything"):
        return False
    return not (text == "yet" and (at + 1 == len(tokens) or is_break(tokens[at + 1])))


def _contrast(tokens: Sequence[Token], at: int, found: Sequence[Mention]) -> None:
    """What stands before the contrast in its sentence is set aside if a plain emotion is asserted behind it."""
    start = at
    while start > 0 and tokens[start - 1].text not in (".", "!", "?"):
        start -= 1
    end = at
    while end < len(tokens) and tokens[end].text not in (".", "!", "?", ";"):
        end += 1
    emotions = [m for m in found if m.kind == "emotion" and not m.negated and m.value != "feeling"]
    behind = [m for m in emotions if at < m.start < end and not m.background]
    before = [m for m in emotions if start <= m.start < at]
    if before and behind and max(m.weight for m in behind) >= min(1.0, max(m.weight for m in before)) * 0.8:
        for mention in before:
            mention.background = True
