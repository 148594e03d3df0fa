"""Text metrics of several systems, against the scorers of pycocoevalcap called one system after another.

Captions and references are sentences that the caption templates of config.yaml write, as many as `--captions`; each
system gets another's captions. Figures must agree to 1e-6. METEOR is in both; SPICE in neither.

    python benchmarks/metrics.py
"""

import os
import random
from typing import Any

from clips import parser_of_turns, speed_lines, take_turns
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from aligncap.evaluation import java
from aligncap.evaluation.metrics import BLEU, text_metrics
from aligncap.evaluation.wording import markdown_table

Figures = dict[str, dict[str, float]]  # system -> metric -> figure
WORDS = {
    "emotion": ["angry", "sad", "happy", "fearful", "calm", "surprised", "disgusted", "content", "furious"],
    "voice": ["a high-pitched voice", "a low voice", "a soft, breathy voice", "a loud and tense voice", "a flat voice"],
    "rate": ["fast", "slowly", "at a measured pace", "with long pauses", "in short bursts"],
}


def sentence(generator: random.Random) -> str:
    """Write a caption."""
    emotion, voice, rate = (generator.choice(WORDS[kind]) for kind in ("emotion", "voice", "rate"))
    return f"The speaker sounds {emotion}, talking {rate} in {voice}."


def one_by_one(systems: dict[str, dict[str, str]], references: dict[str, list[str]]) -> Figures:
    """Score as the users of pycocoevalcap do."""
    found: Figures = {}
    for name, captions in systems.items():
        tokenizer = PTBTokenizer()
        gts = tokenizer.tokenize({i: [{"caption": text} for text in texts] for i, texts in references.items()})
        res = tokenizer.tokenize({i: [{"caption": text}] for i, text in captions.items()})
        found[name] = dict(zip(BLEU, Bleu(4).compute_score(gts, res, verbose=0)[0], strict=True))
        for metric, scorer in (("rouge_l", Rouge()), ("cider_d", Cider()), ("meteor", Meteor())):
            found[name][metric] = float(scorer.compute_score(gts, res)[0])
    return found


def main() -> None:
    """Read the options, time both in turn, and print a table."""
    parser = parser_of_turns(__doc__)
    parser.add_argument("--captions", type=int, default=449)
    parser.add_argument("--systems", type=int, default=15)
    parser.add_argument("--references", type=int, default=2)
    options = parser.parse_args()
    generator = random.Random(0)
    ids = [f"clip{number}" for number in range(options.captions)]
    references = {name: [sentence(generator) for _ in range(options.references)] for name in ids}
    systems = {f"system {n}": {name: sentence(generator) for name in ids} for n in range(options.systems)}
    # pycocoevalcap starts whatever `java` is on PATH.
    os.environ["PATH"] = os.pathsep.join([os.path.dirname(java.find_java()), os.environ["PATH"]])
    ways: dict[str, Any] = {
        "pycocoevalcap": lambda: one_by_one(systems, references),
        "ours": lambda: {name: own.corpus for name, own in text_metrics(systems, references)[0].items()},
    }
    spent, found = take_turns(ways, options.rounds)
    first, second = found.values()
    apart = max(abs(first[name][metric] - second[name][metric]) for name in first for metric in first[name])
    assert apart < 1e-6, f"figures differ by {apart}"
    title = f"{options.systems} systems, {options.captions} captions"
    print("\n".join(markdown_table("lrr", [title, "s a system", "times as fast"], speed_lines(spent, options.systems))))
    print(f"BLEU-1 to 4, ROUGE-L, CIDEr-D and METEOR differ by {apart:.1e} at most.")


if __name__ == "__main__":
    main()
