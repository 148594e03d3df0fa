"""Scopes of the parser: clues that a negation denies, or that a contrast, concession or appearance sets aside."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from aligncap.clues.parser.chunks import Mention, Token, is_break, segment, set_aside, yields
from aligncap.clues.parser.lexicon import CALM
from aligncap.clues.parser.scope_words import (
    ABLE,
    ABOUT,
    ABSENT,
    ATTEMPT,
    CERTAIN,
    CONCESSION,
    CONTRAST,
    ENDS_SCOPE,
    FAKE,
    HARDLY,
    HEARD_IN,
    HEDGES,
    HIDING,
    HOLDING,
    KEPT_BACK,
    LIFT_REACH,
    LINKING,
    LIST_POS,
    NEGATOR_PAIRS,
    NEGATORS,
    NO_DENIAL,
    NOT,
    OBJECT,
    OF_NOUNS,
    ONLY,
    OPENING,
    OUTSIDE,
    PARTICLES,
    PEOPLE,
    PRESENCE,
    SAYING,
    SHOWING,
    SMILES,
    STRIVING,
    THERE,
    UNDER,
    WONDERING,
)


def mark_hedged(tokens: Sequence[Token], found: Sequence[Mention]) -> None:
    """Set ``hedged`` on every mention behind a word of ``HEDGES``, up to a contrast or the end of its segment.

    After "can" and the like the word strengthens what is said, and doubts nothing: "as calm as can possibly be".
    """
    for at, token in enumerate(tokens):
        if token.text in HEDGES and not (at and tokens[at - 1].text in ABLE):
            end = segment(tokens, at)[1]
            end = next((i for i in range(at, end) if tokens[i].text in ENDS_SCOPE), end)
            for mention in found:
                mention.hedged |= at < mention.start < end


def mark_negated(tokens: Sequence[Token], found: Sequence[Mention]) -> None:
    """Set ``negated`` on every mention within an odd number of negation scopes, or denied by words behind it."""
    depth = [0] * len(tokens)
    for at in range(len(tokens)):
        start = _negation_start(tokens, at)
        if start is None or _is_of_attribute(tokens[at], at, found):
            continue
        for i in range(start, _negation_end(tokens, at, start)):
            depth[i] += 1
    for mention in found:
        inside = depth[mention.start] % 2 == 1
        # a phrase whose words include a negator ("can not believe") is not denied by it; one in its gap denies it
        negators = {t.text for t in tokens[mention.start : mention.end]} & NEGATORS
        own = bool(negators & set(mention.words))
        inside |= bool(negators) and not own
        mention.negated = (inside and not own) or _denied_after(tokens, mention)


def _is_of_attribute(token: Token, at: int, found: Sequence[Mention]) -> bool:
    """Whether a negator only belongs to a phrase of the voice: "barely audible", "without a pause"."""
    return any(m.kind != "emotion" and m.start <= at < m.end and token.text in m.words for m in found)


def _negation_start(tokens: Sequence[Token], at: int) -> int | None:
    """Return the index where the scope of a negator at ``at`` begins, or None where there is no negator."""
    text = tokens[at].text
    following = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if text in NEGATORS:
        if text in NOT and _is_tried(tokens, at):
            return None  # "trying not to cry"
        endless = text == "never" and bool(following) and tokens[at + 1].joined  # "a never-ending grief"
        if endless or following in NO_DENIAL.get(text, ()) or _keeps_nothing_back(tokens, at):
            return None
        return at + 2 if text in NOT and following == "yet" else at + 1
    if following in NEGATOR_PAIRS.get(text, ()):
        denied_before = text == "anything" and any(t.text in NEGATORS or t.text == "nobody" for t in tokens[:at])
        return None if denied_before else at + 2
    if text in HARDLY and at + 1 < len(tokens):
        says = tokens[at + 1].pos in ("VERB", "AUX") and tokens[at + 1].lemma in LINKING | SHOWING
        is_so = tokens[at + 1].tag.startswith("JJ") and following not in THERE
        return at + 1 if says or is_so else None
    if text == "little" and (at == 0 or tokens[at - 1].pos not in ("DET", "PRON", "ADJ")) and tokens[at].pos == "ADJ":
        return at + 1
    return None


def _is_form(token: Token, words: frozenset[str]) -> bool:
    return not words.isdisjoint(token.forms)


def _keeps_nothing_back(tokens: Sequence[Token], at: int) -> bool:
    """Whether a clause with "no" says that nothing is held back, which asserts the emotion: "no anger is held back"."""
    clause = tokens[at : segment(tokens, at)[1]]
    return tokens[at].text == "no" and any(
        one.lemma == "be" and other.tag == "VBN" and _is_form(other, KEPT_BACK) and other.lemma != "contain"
        for one, other in itertools.pairwise(clause)
    )


def _negation_end(tokens: Sequence[Token], negator: int, start: int) -> int:
    """Return the index after the scope of a negation.

    The scope ends with its clause, at a contrast, behind a word that lifts the denial, or at a comma that is not part
    of a list closed by or/nor.
    """
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
            return at  # "nor" is a negator with a scope of its own
        if token.text == "and" and (_new_predicate(tokens, at + 1) or _negated_anew(tokens, at + 1)):
            return at
        if tokens[negator].text in OF_NOUNS and _is_heard_in(tokens, start, at):
            return at
        if at - negator <= LIFT_REACH and _lifts(tokens, negator, at):
            return at + 1
        if tokens[negator].text in OPENING and _opens(tokens, negator) and _subject(tokens, at):
            return at  # "without any fear she speaks proudly"
        at += 1
    return at


def _is_tried(tokens: Sequence[Token], at: int) -> bool:
    """Whether "not" belongs to what is only tried, "trying not to cry", so that the emotion is there."""
    beside = {token.text for token in tokens[max(0, at - 1) : at + 2]}
    return "to" in beside and any(token.lemma in STRIVING for token in tokens[max(0, at - 3) : at])


def _is_heard_in(tokens: Sequence[Token], start: int, at: int) -> bool:
    """Whether the voice in which something is not heard begins at ``at``: "no joy in her sad voice"."""
    of_voice = any(token.text in HEARD_IN for token in tokens[at + 2 : at + 6])
    acts = any(token.pos in ("VERB", "AUX") for token in tokens[start:at])
    follows = tokens[at + 1].pos if at + 1 < len(tokens) else ""
    return tokens[at].text in ("in", "with") and follows in ("DET", "PRON") and of_voice and not acts


def _opens(tokens: Sequence[Token], at: int) -> bool:
    """Whether a phrase begins a sentence: "without fear", "with no fear", "despite her fear"."""
    first = at - (at > 0 and tokens[at - 1].text in ("with", "even", "and", "in"))
    return first == 0 or tokens[first - 1].text in (".", ";")


def _subject(tokens: Sequence[Token], at: int) -> bool:
    """Whether a new clause begins with the subject at ``at``, though no comma stands before it."""
    person = tokens[at].pos == "DET" and [token.text for token in tokens[at + 1 : at + 2] if token.text in PEOPLE]
    verb = at + 1 + bool(person)
    begins = tokens[at].tag in ("PRP", "EX") or (person and tokens[at - 1].pos != "ADP")
    return bool(begins) and verb < len(tokens) and tokens[verb].pos in ("VERB", "AUX")


def _lifts(tokens: Sequence[Token], negator: int, at: int) -> bool:
    """Whether a denial ends behind ``at``, since an emotion that cannot be hidden, doubted or calmed is present."""
    token, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else None
    next_text, next_pos = (after.text, after.pos) if after else ("", "")
    if token.text in ONLY:
        return tokens[at - 1].text not in ("or", "nor")
    if _is_form(token, CERTAIN):
        in_question = (token.lemma, next_text) == ("question", "of")  # "not a question of anger"
        return not in_question and next_text not in ("or", "nor", "and", ",")  # "without doubt or fear"
    if token.text == "know":
        return any(t.text in WONDERING for t in tokens[at + 1 : at + 3])
    if token.pos != "VERB":
        return False
    if "calm" in token.forms:
        return next_pos in ("DET", "PRON", "NOUN")  # "cannot calm her anger"
    if "care" in token.forms:
        return next_text not in ("to", "for", "or", "nor", "and")
    if _is_dared(tokens, at):
        return True
    if next_text in ("any", "by") or (token.tag == "VBN" and next_pos in ("NOUN", "ADJ")):
        return False  # "does not hide any anger", "not masked by anger", "no suppressed anger"
    if "mistake" in token.forms and any(t.text == "for" for t in tokens[at + 1 : at + 4]):
        return False  # "not to be mistaken for anger"
    return _is_form(token, HIDING) or (_is_form(token, HOLDING) and _cannot(tokens, negator, at))


def _cannot(tokens: Sequence[Token], negator: int, at: int) -> bool:
    """Whether an emotion is not held because one cannot or does not try to: "not try to hold", "not hold back"."""
    able = any(t.text in ABLE for t in tokens[max(0, negator - 1) : negator + 1])
    wanted = tokens[at - 1].text == "to" and tokens[at - 2].lemma not in LINKING
    own = any((tokens[at].lemma, t.text) in PARTICLES or t.tag == "PRP$" for t in tokens[at + 1 : at + 2])
    return able or wanted or own


def _is_dared(tokens: Sequence[Token], at: int) -> bool:
    """Whether the verb at ``at`` follows "dare" and does not link: "does not dare to show", not "dare to be happy"."""
    before = [t for t in tokens[max(0, at - 3) : at] if t.text not in ("to", "not", "n't")]
    return bool(before) and "dare" in before[-1].forms and tokens[at].lemma not in LINKING


def _new_predicate(tokens: Sequence[Token], at: int) -> bool:
    if at < len(tokens) and tokens[at].text in ("a", "an"):
        return True  # "little variation and a calm tone"
    for token in tokens[at : at + 4]:
        if is_break(token):
            return False
        if token.pos in ("VERB", "AUX") and token.tag in ("VBZ", "VBP", "VBD", "VBG"):
            return True
        if token.text in ("with", "quite", "rather", "very", "full", "clearly"):
            return True
    return False


def _negated_anew(tokens: Sequence[Token], at: int) -> bool:
    """Whether the part from ``at`` has a negator of its own: "the tone is not high and the pace not slow"."""
    return any(token.text in NEGATORS for token in tokens[at : segment(tokens, at)[1]])


def _is_list(tokens: Sequence[Token], comma: int) -> bool:
    """Whether "or" or "nor" follows the comma at ``comma`` with only a list between them."""
    for token in tokens[comma + 1 : comma + 9]:
        if token.text in ("or", "nor"):
            return True
        if (token.text != "," and token.pos not in LIST_POS) or token.lemma in SAYING:
            return False
    return False


def _denied_after(tokens: Sequence[Token], mention: Mention) -> bool:
    """Whether words behind a noun deny it: "anger is absent", "joy is not to be heard".

    What is absent may be something else: "a sad voice lacking energy", "her grief that he is gone".
    """
    if mention.pos not in ("NOUN", "PROPN"):
        return False
    negator = False
    for at in range(mention.end, min(mention.end + 6, len(tokens))):
        token = tokens[at]
        if is_break(token) or token.text in ENDS_SCOPE or token.text in ABOUT or token.text == "and":
            return False
        of_itself = at + 1 == len(tokens) or tokens[at + 1].pos not in OBJECT
        if (token.text in ABSENT and of_itself) or (negator and token.text in PRESENCE):
            return True
        negator = negator or token.text in NOT or token.text == "never"
    return False


def mark_background(tokens: Sequence[Token], found: Sequence[Mention]) -> None:
    """Set ``background`` on mentions that are conceded, superficial, feigned, attempted or before a contrast."""
    aside = [False] * len(tokens)

    def put_aside(start: int, end: int) -> None:
        aside[start:end] = [True] * (end - start)

    for at, token in enumerate(tokens):
        if token.text in OUTSIDE and not (
            token.text == "surface" and at and tokens[at - 1].text == "the" and _is_to(tokens, at)
        ):
            put_aside(*segment(tokens, at, joints=True))
        elif token.lemma in ATTEMPT and any(t.text == "to" for t in tokens[at + 1 : at + 5]):
            put_aside(at, _attempt_end(tokens, at))
        elif token.text in FAKE:
            put_aside(at, min(at + 4, segment(tokens, at)[1]))
        elif token.text in UNDER and _covers(tokens, at):
            put_aside(at, segment(tokens, at)[1])
        elif _concedes(tokens, at):
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
    """Whether an emotion word only modifies the one that follows it: "blissfully calm", "horrified disgust"."""
    if mention.kind != "emotion" or mention.pos not in ("ADV", "ADJ", "VERB"):
        return False
    heads = ("ADJ", "VERB") if mention.pos == "ADV" else ("NOUN",)
    follows = [m for m in found if m.kind == "emotion" and m.start == mention.end and m.value != "feeling"]
    follows = [m for m in follows if SMILES.isdisjoint(m.words)]  # "a sad smile"
    return any(m.pos in heads and m.weight >= CALM for m in follows)


def _is_to(tokens: Sequence[Token], at: int) -> bool:
    """Whether "the surface" follows a word that makes it no disguise: "close to the surface"."""
    return at >= 2 and tokens[at - 2].text in ("to", "below", "beneath", "under")


def _covers(tokens: Sequence[Token], at: int) -> bool:
    """Whether "under" is a preposition: "furious underneath a calm manner", but not "cheerful, underneath tense"."""
    following = [t.pos for t in tokens[at + 1 : segment(tokens, at)[1]]]
    return following[:1] in (["DET"], ["NOUN"], ["PRON"]) or (following[:1] == ["ADJ"] and "NOUN" in following)


def _concedes(tokens: Sequence[Token], at: int) -> bool:
    """Whether a concession begins at ``at``: "though nervous", but not "laughing while angry", which is about time."""
    if tokens[at].text == "while" and at > 0 and not is_break(tokens[at - 1]):
        return False
    in_spite = tokens[at].text == "spite" and at > 0 and tokens[at - 1].text == "in"
    return tokens[at].text in CONCESSION or in_spite or _is_mild_if(tokens, at)


def _is_mild_if(tokens: Sequence[Token], at: int) -> bool:
    """Whether "if" introduces a mild concession: "peaceful, if a touch wistful"."""
    following = [t.text for t in tokens[at + 1 : at + 3]]
    return tokens[at].text == "if" and (following[:1] == ["a"] or following[:1] in (["slightly"], ["somewhat"]))


def _attempt_end(tokens: Sequence[Token], at: int) -> int:
    """Return the end of an attempt: the clause's end, or a verb as in "trying to hide her anger", which asserts it."""
    end = at + 1
    while end < len(tokens) and not is_break(tokens[end]) and tokens[end].text not in ENDS_SCOPE:
        if tokens[end].pos == "VERB" and _is_form(tokens[end], KEPT_BACK):
            break
        if tokens[end].text == "and" and _new_predicate(tokens, end + 1):
            break  # "wants to be heard and sounds angry"
        end += 1
    return end


def _concession_end(tokens: Sequence[Token], at: int) -> int:
    """Return the end of a concession: the comma where it opens the sentence, else the sentence's end or a contrast."""
    opens = _opens(tokens, at)
    end = at + 1
    while end < len(tokens):
        text = tokens[end].text
        if text in (".", ";", "!", "?") or text in CONTRAST or (opens and text == ","):
            break
        if opens and end > at + 1 and _subject(tokens, end):
            break  # "though she smiles she is sad"
        end += 1
    return end


def _is_contrast(tokens: Sequence[Token], at: int) -> bool:
    text = tokens[at].text
    if text not in CONTRAST:
        return False
    if text == "but" and at and tokens[at - 1].text in ("nothing", "anything", "all", "everything"):
        return False
    if text == "yet" and at and tokens[at - 1].text in NOT:
        return False  # "not yet angry"
    return not (text == "yet" and (at + 1 == len(tokens) or is_break(tokens[at + 1])))


def _contrast(tokens: Sequence[Token], at: int, found: Sequence[Mention]) -> None:
    """Set aside the emotions before a contrast in its sentence, unless only a manner follows."""
    start = at
    while start > 0 and tokens[start - 1].text not in (".", "!", "?"):
        start -= 1
    end = at
    while end < len(tokens) and tokens[end].text not in (".", "!", "?", ";"):
        end += 1
    emotions = [m for m in found if m.kind == "emotion" and not m.negated and m.value != "feeling"]
    behind = [m for m in emotions if at < m.start < end and not m.background]
    before = [m for m in emotions if start <= m.start < at]
    if yields(before, behind):
        set_aside(before, behind)
