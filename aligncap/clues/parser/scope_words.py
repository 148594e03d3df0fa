"""Words that begin, end or lift the scopes of ``scopes.py``: negators, contrasts, concessions, attempts."""

from __future__ import annotations

NEGATORS = frozenset(
    "not n't no never without neither nor none nothing cannot nobody lacking lack lacks lacked absence minus rarely "
    "seldom".split()
)
# Negators of two words: the first word, and the second words that follow it.
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
SHOWING = frozenset("show express convey betray carry have".split())  # "hardly shows any joy", as "hardly sounds happy"
# The scope of a negation ends behind these verbs: "cannot hide the anger", "no mistaking the fear".
HIDING = frozenset(
    "hide conceal restrain disguise suppress stifle repress mask deny mistake stop control soften resist escape ignore "
    "overlook".split()
)
# It also ends behind these verbs if one cannot do them ("cannot contain"), but "does not hold any sadness" denies it.
HOLDING = frozenset("contain hold help miss bear believe shake overcome".split())
KEPT_BACK = HIDING | {"contain", "hold"}
PARTICLES = frozenset({("hold", "back"), ("hold", "in"), ("shake", "off")})
CERTAIN = frozenset("doubt wonder question".split())  # only the doubt is denied: "no doubt that she is angry"
ONLY = frozenset("only just merely simply".split())  # "not only sad"
LINKING = frozenset("be sound seem appear feel look".split())
LIFT_REACH = 6  # most words from a negator to the word that ends its scope
# Pairs of words in which the first word is no negator: "no end of joy", "nothing but contempt".
NO_DENIAL = {"no": {"end", "matter", "nonsense"}, "nothing": {"but", "short", "less"}}
HEDGES = frozenset("perhaps maybe possibly probably presumably potentially likely may might".split())
ABLE = frozenset("can ca could cannot".split())
WONDERING = frozenset("what how where why whether if which".split())
PRESENCE = frozenset(
    "present hear heard there audible felt feel evident found find detected detect noticed notice apparent".split()
)
ABSENT = frozenset("absent missing nowhere lacking gone absence".split())
NOT = frozenset(("not", "n't"))
# What is faint, or cannot be kept back, is there: "a barely perceptible sadness", "barely concealed irritation".
THERE = frozenset(
    "able perceptible noticeable detectable discernible concealed contained suppressed hidden disguised controlled "
    "restrained".split()
)
OF_NOUNS = frozenset("no without lack lacks lacking lacked absence little devoid free".split())
HEARD_IN = frozenset("voice tone way manner delivery speech".split())
# A verb that begins another predicate, and no item of a list: "not loud, suggesting sadness or fatigue".
SAYING = LINKING | SHOWING | frozenset("suggest indicate imply reveal reflect hint speak talk give".split())
PEOPLE = HEARD_IN | frozenset("speaker man woman person girl boy".split())
ABOUT = frozenset("that who which whose at about over".split())  # what an emotion is about follows
OBJECT = frozenset("DET PRON NOUN PROPN ADJ".split())
CONTRAST = frozenset("but yet however nevertheless nonetheless".split())
CONCESSION = frozenset("though although while whereas despite albeit notwithstanding".split())
ATTEMPT = frozenset("try attempt pretend struggle fight strive effort manage wish want refuse hope affect".split())
STRIVING = frozenset("try struggle fight strive attempt".split())
SMILES = frozenset(
    "smile smiling smiles grin grinning giggle giggling chuckle chuckling laugh laughing laughter".split()
)
FAKE = frozenset("feigned fake forced false falsely pretended sham put-on affected".split())
OPENING = frozenset("without no".split())
UNDER = frozenset("beneath underneath under behind below".split())
OUTSIDE = frozenset("surface outwardly outside appearance superficially".split())
ENDS_SCOPE = frozenset("but yet however though although while whereas because".split())
LIST_POS = frozenset("NOUN ADJ ADV DET CCONJ PROPN VERB".split())
