"""Words of the caption grammars, written for this project from general English, without looking at any captions.

There are three vocabularies: ``a`` and ``b`` for the two synthetic corpora, and ``labels`` for corpora that have labels
only, with the emotion words of both and separate frames. ``{adj}`` is an emotion adjective, ``{noun}`` an emotion noun,
``{voice}`` adjectives before a voice, ``{voiced}`` after it, ``{adv}`` the way it is spoken, ``{clause}`` a clause
about the voice; ``a(n)`` becomes a or an.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EmotionWords:
    """The words for one emotion: ``strong`` ones need no adverb, and ``plain`` ones take one."""

    plain: tuple[str, ...]
    strong: tuple[str, ...]
    nouns: tuple[str, ...]
    graded: bool = True  # nouns take "a hint of" and "intense"

    def __or__(self, other: EmotionWords) -> EmotionWords:
        """Return the words of both."""

        def joined(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(dict.fromkeys(first + second))

        return EmotionWords(
            joined(self.plain, other.plain),
            joined(self.strong, other.strong),
            joined(self.nouns, other.nouns),
            self.graded and other.graded,
        )


@dataclass(frozen=True)
class ValueWords:
    """The words for one value of a vocal attribute, such as a high pitch; the first adverb is a plain one."""

    voice: tuple[str, ...]
    adv: tuple[str, ...]
    clause: tuple[str, ...]


@dataclass(frozen=True)
class Grammar:
    """A caption grammar: its words and its sentence frames."""

    emotions: dict[str, EmotionWords]
    values: dict[tuple[str, str], ValueWords]
    frames: tuple[str, ...]  # name the emotion and the voice
    bare_frames: tuple[str, ...]  # name the emotion alone
    strong: tuple[str, ...]  # adverbs of intensity
    weak: tuple[str, ...]


EMOTIONS_A = {
    "neutral": EmotionWords(
        ("neutral", "matter-of-fact", "emotionally flat", "unemotional"),
        ("completely neutral", "entirely unemotional"),
        ("no particular emotion", "no strong feeling"),
        graded=False,
    ),
    "angry": EmotionWords(
        ("angry", "irritated", "annoyed", "displeased"),
        ("furious", "enraged", "livid"),
        ("anger", "irritation", "annoyance"),
    ),
    "happy": EmotionWords(
        ("happy", "cheerful", "joyful", "glad"),
        ("overjoyed", "elated", "thrilled"),
        ("happiness", "joy", "good cheer"),
    ),
    "sad": EmotionWords(
        ("sad", "sorrowful", "downcast", "unhappy"),
        ("heartbroken", "devastated", "miserable"),
        ("sadness", "sorrow", "dejection"),
    ),
    "surprised": EmotionWords(
        ("surprised", "startled", "taken aback"),
        ("astonished", "amazed", "stunned"),
        ("surprise", "disbelief"),
    ),
    "fearful": EmotionWords(
        ("afraid", "scared", "frightened"),
        ("terrified", "panicked"),
        ("fear", "fright", "alarm"),
    ),
    "disgusted": EmotionWords(
        ("disgusted", "repelled", "put off"),
        ("revolted", "nauseated"),
        ("disgust", "distaste", "aversion"),
    ),
}

EMOTIONS_B = {
    "neutral": EmotionWords(
        ("neutral", "impassive", "matter-of-fact", "detached"),
        ("wholly neutral", "completely impassive"),
        ("no emotion", "no clear feeling"),
        graded=False,
    ),
    "angry": EmotionWords(
        ("angry", "frustrated", "exasperated", "indignant"),
        ("furious", "incensed", "fuming"),
        ("anger", "frustration", "resentment"),
    ),
    "happy": EmotionWords(
        ("happy", "delighted", "pleased", "merry"),
        ("overjoyed", "ecstatic", "jubilant"),
        ("delight", "joy", "merriment"),
    ),
    "sad": EmotionWords(
        ("sad", "gloomy", "dejected", "mournful"),
        ("grief-stricken", "heartbroken", "inconsolable"),
        ("sadness", "gloom", "grief"),
    ),
    "surprised": EmotionWords(
        ("surprised", "caught off guard", "incredulous"),
        ("astounded", "dumbfounded", "shocked"),
        ("surprise", "amazement", "astonishment"),
    ),
    "fearful": EmotionWords(
        ("fearful", "anxious", "frightened"),
        ("terrified", "petrified"),
        ("fear", "dread", "anxiety"),
    ),
    "disgusted": EmotionWords(
        ("disgusted", "repulsed", "sickened"),
        ("revolted", "utterly repulsed"),
        ("disgust", "revulsion", "loathing"),
    ),
}

EMOTIONS_LABELS = {
    **{emotion: words | EMOTIONS_B[emotion] for emotion, words in EMOTIONS_A.items()},
    "calm": EmotionWords(
        ("calm", "relaxed", "composed", "at ease", "untroubled", "peaceful"),
        ("perfectly calm", "completely relaxed", "deeply peaceful"),
        ("calm", "composure", "tranquillity"),
        graded=False,
    ),
    "worried": EmotionWords(
        ("worried", "anxious", "concerned", "uneasy", "nervous"),
        ("distraught", "deeply worried", "extremely anxious"),
        ("worry", "concern", "unease"),
    ),
    "contemptuous": EmotionWords(
        ("contemptuous", "scornful", "disdainful", "dismissive"),
        ("full of contempt", "utterly scornful"),
        ("contempt", "scorn", "disdain"),
    ),
}

VALUES_A = {
    ("level", "low"): ValueWords(
        ("quiet", "soft"), ("quietly", "softly"), ("the voice is quiet", "the voice stays soft")
    ),
    ("level", "high"): ValueWords(("loud",), ("loudly", "at high volume"), ("the voice is loud", "the volume is high")),
    ("pitch", "low"): ValueWords(
        ("low-pitched", "deep"), ("at a low pitch", "in a deep voice"), ("the pitch is low", "the voice is deep")
    ),
    ("pitch", "high"): ValueWords(
        ("high-pitched",),
        ("at a high pitch", "in a high-pitched voice"),
        ("the pitch is high", "the pitch goes up high"),
    ),
    ("rate", "slow"): ValueWords(
        ("slow",), ("slowly", "at a slow pace"), ("the pace is slow", "the words come slowly")
    ),
    ("rate", "fast"): ValueWords(
        ("fast",), ("fast", "at a quick pace"), ("the pace is fast", "the words come quickly")
    ),
    ("timbre", "trembling"): ValueWords(("trembling", "shaky"), ("with a trembling voice",), ("the voice trembles",)),
    ("timbre", "whispering"): ValueWords(("whispering",), ("in a whisper",), ("the voice is only a whisper",)),
    ("timbre", "harsh"): ValueWords(("harsh", "rough"), ("with a harsh voice",), ("the voice is harsh",)),
    ("timbre", "breathy"): ValueWords(("breathy",), ("with a breathy voice",), ("the voice is breathy",)),
}

VALUES_B = {
    ("level", "low"): ValueWords(
        ("hushed", "quiet"), ("quietly", "in a hushed voice"), ("talking in a murmur", "keeping the volume low")
    ),
    ("level", "high"): ValueWords(
        ("loud", "raised"), ("loudly", "in a raised voice"), ("raising the voice", "talking at high volume")
    ),
    ("pitch", "low"): ValueWords(
        ("deep", "low-pitched"), ("at a low pitch", "with a deep voice"), ("in a deep voice", "with a low pitch")
    ),
    ("pitch", "high"): ValueWords(
        ("high-pitched", "shrill"),
        ("at a high pitch", "with a shrill voice"),
        ("in a high-pitched voice", "with a high pitch"),
    ),
    ("rate", "slow"): ValueWords(
        ("slow", "dragging"), ("slowly", "at a slow tempo"), ("taking it slowly", "talking at a slow tempo")
    ),
    ("rate", "fast"): ValueWords(
        ("hurried", "rapid"), ("rapidly", "at a fast tempo"), ("talking rapidly", "rushing through the words")
    ),
    ("timbre", "trembling"): ValueWords(
        ("quavering", "trembling"), ("with a shaky voice",), ("with a quaver in the voice",)
    ),
    ("timbre", "whispering"): ValueWords(("whispering",), ("in a whisper",), ("barely whispering",)),
    ("timbre", "harsh"): ValueWords(("rough", "harsh"), ("with a rough voice",), ("with a harsh edge to the voice",)),
    ("timbre", "breathy"): ValueWords(("breathy",), ("with a breathy tone",), ("with much breath in the voice",)),
}

VALUES_LABELS = {
    ("level", "low"): ValueWords(
        ("quiet", "soft", "hushed"),
        ("quietly", "softly", "in a hushed voice"),
        ("the voice is quiet", "the volume is low"),
    ),
    ("level", "high"): ValueWords(
        ("loud", "raised"),
        ("loudly", "with a raised voice", "at high volume"),
        ("the voice is loud", "the voice is raised"),
    ),
    ("pitch", "low"): ValueWords(
        ("low-pitched", "deep"), ("at a low pitch", "in a deep voice"), ("the pitch is low", "the voice is deep")
    ),
    ("pitch", "high"): ValueWords(
        ("high-pitched",), ("at a high pitch", "in a high-pitched voice"), ("the pitch is high", "the pitch sits high")
    ),
    ("rate", "slow"): ValueWords(
        ("slow", "unhurried"), ("slowly", "at a slow pace"), ("the pace is slow", "the words come slowly")
    ),
    ("rate", "fast"): ValueWords(
        ("fast", "hurried"), ("quickly", "fast", "at a rapid pace"), ("the pace is quick", "the words come fast")
    ),
}

GRAMMARS = {
    "a": Grammar(
        EMOTIONS_A,
        VALUES_A,
        frames=(
            "The speaker sounds {adj} and talks {adv}.",
            "A(n) {voice} voice that sounds {adj}.",
            "The speaker is {adj}; {clause}.",
            "Speaking {adv}, the person sounds {adj}.",
            "There is {noun} in this {voice} voice.",
            "The tone is that of someone {adj}; {clause}.",
            "The speaker sounds {adj}, and the voice is {voiced}.",
            "With {noun} in the voice, the speaker talks {adv}.",
            "The person seems {adj}, talking {adv}.",
        ),
        bare_frames=(
            "The person talking sounds {adj}.",
            "There is {noun} in the voice.",
            "The tone is that of someone {adj}.",
            "The person speaking seems to be {adj}.",
            "This is the voice of someone {adj}.",
            "A voice with {noun} in it.",
            "The speaker talks like someone {adj}.",
            "One notices {noun} in the voice.",
        ),
        strong=("very", "really", "extremely"),
        weak=("slightly", "a little"),
    ),
    "b": Grammar(
        EMOTIONS_B,
        VALUES_B,
        frames=(
            "You can hear {noun}, spoken {adv}.",
            "Someone {adj} is heard, {clause}.",
            "This is someone {adj}, {clause}.",
            "In a(n) {voice} voice, somebody expresses {noun}.",
            "Somebody {adj} says this {adv}.",
            "Somebody expresses {noun}, {clause}.",
            "The words come out {adv}, from someone who feels {adj}.",
            "They come across as {adj}, {clause}.",
            "The delivery has {noun} in it, in a(n) {voice} voice.",
        ),
        bare_frames=(
            "You can hear {noun} in this voice.",
            "They come across as {adj} throughout.",
            "Whoever says this must feel {adj}.",
            "The delivery shows {noun} throughout.",
            "Somebody {adj} is saying this.",
            "All of it is said with {noun}.",
            "From the delivery, they must be {adj}.",
        ),
        strong=("deeply", "terribly", "intensely"),
        weak=("somewhat", "mildly"),
    ),
    "labels": Grammar(
        EMOTIONS_LABELS,
        VALUES_LABELS,
        frames=(
            "The speaker sounds {adj}, talking {adv}.",
            "The speaker seems {adj} and speaks {adv}.",
            "A(n) {voice} voice with {noun} in it.",
            "Talking {adv}, the speaker comes across as {adj}.",
            "The speaker sounds {adj}; {clause}.",
            "There is {noun} in the voice; {clause}.",
            "The voice is {voiced}; the speaker sounds {adj}.",
            "In a(n) {voice} voice, the speaker shows {noun}.",
            "Someone who sounds {adj} is talking {adv}.",
            "They seem {adj}, speaking {adv}.",
            "A person who is {adj}, speaking {adv}.",
            "Spoken {adv} by someone who seems {adj}.",
        ),
        bare_frames=(
            "The speaker sounds {adj} when saying this.",
            "There is {noun} in the speaker's voice.",
            "The voice of someone who is {adj}.",
            "They speak in a way that sounds {adj}.",
            "The speaker's manner comes across as {adj}.",
            "One can hear {noun} in the voice.",
            "Someone who seems {adj} is speaking.",
            "The speaker's voice shows {noun}.",
        ),
        strong=("very", "extremely", "really", "deeply"),
        weak=("slightly", "somewhat", "a little"),
    ),
}
