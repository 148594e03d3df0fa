"""The grammar as tables for docs/parser.md: every pattern of the parser with an example and its reading.

``CONSTRUCTIONS`` is the table that the parser interprets. ``WRITTEN`` describes the rules that are code, each with the
module that has it, in the notation of ``constructions.py``. ``render`` makes the tables of docs/parser.md from both,
with the parser's current readings, and a test compares the page with them. `python -m aligncap.clues.parser.patterns`
writes the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligncap.clues.parser import words
from aligncap.clues.parser.constructions import CONSTRUCTIONS
from aligncap.clues.parser.grammar import dominant_emotion, parse_clues
from aligncap.vocabulary import Clue

BEGIN, END = "<!-- patterns: begin -->", "<!-- patterns: end -->"
PAGE = Path("docs") / "parser.md"


@dataclass(frozen=True)
class Rule:
    """A rule that is code: its module, its pattern, its effect, and an example of ours."""

    where: str
    pattern: str
    effect: str
    example: str


WRITTEN = (
    Rule("lexicon", "EMOTION", "word or phrase of `words.py`; `lose ~ temper` has up to two words inside", "furious"),
    Rule("lexicon", "ADJ", "of one NRC emotion only, and in no list: a cue", "a cautious tone"),
    Rule("lexicon", "EMOTION?", "a cue yields to every plainer word beside it", "stern, slightly sad"),
    Rule(
        "scopes",
        "not|n't|no|never|without|neither|nor|lacking .. EMOTION",
        "denied, to the clause's end",
        "not at all angry",
    ),
    Rule("scopes", "far from, free of, devoid of, anything but, instead of, rather than", "deny", "far from happy"),
    Rule("scopes", "EMOTION be absent|missing|gone|not heard", "denied", "The fear is gone, replaced by joy."),
    Rule(
        "scopes",
        "neither X nor Y; no X, Y or Z",
        "a list is denied as a whole",
        "neither angry nor afraid, but sad",
    ),
    Rule("scopes", "not hide|deny|stop|control EMOTION; not only EMOTION", "asserted", "She does not hide her joy."),
    Rule("scopes", "can not contain|hold|help|bear EMOTION", "asserted", "She cannot contain her joy."),
    Rule(
        "scopes",
        "not contain|hold EMOTION; not hide any EMOTION",
        "denied, where nobody tries to",
        "The voice does not contain anger.",
    ),
    Rule(
        "scopes",
        "no doubt|wonder .. EMOTION; not calm DET|PRON EMOTION",
        "the doubt, the calm is denied, the emotion is not",
        "There is no doubt that she is angry.",
    ),
    Rule("scopes", "no end of EMOTION", "asserted", "There is no end of joy in the voice."),
    Rule("scopes", "two negators", "cancel", "not without sadness"),
    Rule("grammar", "not FEELING", "neutral", "no emotion at all"),
    Rule("grammar", "all EMOTIONs denied, two or more", "neutral", "neither happy nor sad"),
    Rule("chunks", "very|deeply|so|utterly .. EMOTION", "strong", "deeply sad"),
    Rule("chunks", "slightly|a bit|a hint of .. EMOTION", "weak", "slightly annoyed"),
    Rule(
        "scopes",
        "perhaps|maybe|possibly|probably|presumably .. X",
        "X is hedged, and asserted as without the word",
        "perhaps sad, but loud",
    ),
    Rule("scopes", "X but|yet|however Y", "X is set aside, for a cue too", "cheerful, but tearful"),
    Rule("scopes", "X but Y, Y a neutral cue", "a manner: no X of more weight yields to it", "sad, but polite"),
    Rule("scopes", "though|although|while|despite X", "X is set aside", "though nervous, she is cheerful"),
    Rule(
        "scopes",
        "outwardly X; X on the surface; beneath X",
        "X is set aside",
        "outwardly cheerful, inwardly tense",
    ),
    Rule("scopes", "feigned|forced X; try|pretend to X", "X is set aside", "trying to sound cheerful, deeply unhappy"),
    Rule("scopes", "more X than Y; less Y than X", "Y is set aside", "more sad than angry"),
    Rule("scopes", "ADV EMOTION; ADJ NOUN, both EMOTION", "the first is set aside", "horrified disgust"),
    Rule("chunks", "level: a word of its list", "low, mid, high", "She whispers."),
    Rule(
        "chunks",
        "high|low|raised|… near pitch|volume|pace",
        "a value of that scale",
        "low in both pitch and volume",
    ),
    Rule("chunks", "high|deep voice; high|low tone", "pitch", "a high voice"),
    Rule("chunks", "low|raised voice", "level", "in a low voice"),
    Rule("chunks", "a compound with a hyphen", "one phrase, whatever is near", "The voice is low-pitched."),
    Rule("chunks", "rate: a word of its list", "slow, mid, fast", "speaking very fast"),
    Rule("chunks", "timbre: a word of its list", "14 values", "a husky, trembling voice"),
    Rule("chunks", "pause: a word of its list", "many, few", "with many pauses"),
    Rule("grammar", "neither loud nor soft", "mid", "The pace is no faster or slower than usual."),
    Rule("words", "idioms", "phrases of the lists", "at the end of her tether"),
)


def reading(clues: Sequence[Clue]) -> str:
    """Format clues as a line, "sad strong, not angry, pitch low", with the dominant of several emotions in brackets."""
    parts = []
    for clue in clues:
        if clue.kind == "intensity":
            continue
        name = clue.lemma if clue.kind == "emotion" else f"{clue.kind} {clue.lemma}"
        degree = f" {clue.intensity}" if clue.kind == "emotion" and clue.intensity != "normal" else ""
        parts.append(f"{'not ' if clue.negated else ''}{name}{degree}")
    asserted = {clue.lemma for clue in clues if clue.kind == "emotion" and not clue.negated}
    dominant = dominant_emotion(clues)
    return ", ".join(dict.fromkeys(parts)) + (f" [{dominant}]" if dominant and asserted != {dominant} else "")


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def words_table(emotions: Mapping[str, str], attributes: Mapping[tuple[str, str], str]) -> list[str]:
    """Make the lines of a table with the number of words in each list."""
    lines = ["### Words", "", _row("list", "words"), "|---|---:|"]
    lines += [_row(label, str(len(text.split()))) for label, text in emotions.items()]
    for kind in ("level", "pitch", "rate", "timbre", "pause"):
        lines.append(_row(kind, str(sum(len(text.split()) for (own, _), text in attributes.items() if own == kind))))
    return lines


def rules_table(rules: Sequence[Rule], language: str) -> list[str]:
    """Make the lines of a table of rules with the parser's readings of their examples."""
    lines = ["### Rules that are code", "", _row("module", "pattern", "effect", "example", "read as")]
    lines.append("|---|---|---|---|---|")
    for rule in rules:
        said = reading(parse_clues(rule.example, language))
        lines.append(_row(f"`{rule.where}`", rule.pattern, rule.effect, rule.example, said))
    return lines


def render() -> str:
    """Make the generated part of docs/parser.md."""
    lines = [*words_table(words.EMOTION_WORDS, words.ATTRIBUTE_WORDS), "", *rules_table(WRITTEN, "en")]
    lines += ["", "### Constructions, interpreted", ""]
    lines += [_row("group", "pattern", "example", "read as"), "|---|---|---|---|"]
    for row in CONSTRUCTIONS:
        lines.append(_row(row.group, f"`{row.pattern}`", row.example, reading(parse_clues(row.example))))
    return "\n".join(lines) + "\n"


def put_in(page: str, rendered: str) -> str:
    """Put ``rendered`` between the two markers of ``page``."""
    before, rest = page.split(BEGIN, 1)
    return f"{before}{BEGIN}\n\n{rendered}\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    PAGE.write_text(put_in(PAGE.read_text(encoding="utf-8"), render()), encoding="utf-8")
