"""What KD and preference optimisation gain as the accuracy of the emotion tag rises from 0.3 to 1.0.

Systems of a finished run caption its test clips again, with the run's own decoding: once with the gold emotion as tag
and once with a wrong one, drawn from the tagger's own mistakes; other clues are as predicted. Every accuracy takes the
one caption or the other of each clip (aligncap/evaluation/oracle_tags.py), so a curve costs two captions a clip. Clips
whose label is none of the seven emotions are left out. The systems were trained on tags of the tagger's own accuracy:
what changes is the tags that they are tested with, not those that they learned to trust.

**Gold tags are an oracle here**, as in cue_interventions.py: a diagnostic outside the pipeline, whose captions never
become a row of the zero-shot tables and never reach training. Nothing is written into the results.

Each system is compared with the one named before it, by default kd - sft and aligncap - kd. The name `teacher` asks
`LLM_0`, which reads text alone: what KD teaches can be no better than that.

    python benchmarks/oracle_tags.py results/people emosec experiments/people.yaml --out build/oracle_tags

Writes `oracle_tags.md`, `oracle_tags.csv`, `oracle_tags.svg`, `oracle_tags.png` and `oracle_tags_captions.csv`.
"""

import pandas as pd
from clips import spread
from cue_interventions import ROOT, loaded, read_arguments

from aligncap import artifacts
from aligncap.clues.parser.grammar import dominant_emotion
from aligncap.clues.prompts import acoustic_prompt
from aligncap.evaluation.figures.tag_accuracy import TITLES, draw_tag_accuracy
from aligncap.evaluation.interventions import item_row, read_clips, scored
from aligncap.evaluation.oracle_tags import LEVELS, TAG, curves, member, oracle_tags
from aligncap.evaluation.tables.seeds import CorpusScores
from aligncap.evaluation.wording import bounds, markdown_table
from aligncap.systems import load

NOTES = (
    "Macro agreement is over all clips, hallucination of a system over the clips where all systems assert an emotion "
    "at that accuracy, that of a difference over those where both do. Brackets: 95 % bootstrap of each figure alone, "
    "paired by clip for differences, uncorrected. Measured with the clue parser, which the training judge rewards. "
    "Tags are an oracle: none of these captions is a zero-shot result."
)


def lines_of(rows: list[dict]) -> list[str]:
    """Return a Markdown table for each metric, with a line for each accuracy."""
    lines = []
    for metric, title in TITLES.items():
        own = {(r["system"], r["tag_accuracy"]): r for r in rows if r["metric"] == metric}
        names = list(dict.fromkeys(name for name, _ in own))
        body = []
        for level in LEVELS:
            cells = [f"{level:.1f}"]
            for name in names:
                figure, sign = own.get((name, level)), "+" if " - " in name else ""
                shown = figure is not None and figure["value"] is not None
                cells.append(f"{figure['value']:{sign}.3f} {bounds(figure, 3, sign)}" if shown else "–")
            body.append(cells)
        lines += [f"## {title.capitalize()}", "", *markdown_table("r" * (len(names) + 1), ("tags right", *names), body)]
    return lines


def main() -> None:
    """Caption, score, draw and write."""
    arguments = read_arguments(__doc__)
    config = load(ROOT / "config.yaml", *arguments.overlay)
    clips = read_clips(arguments.results, arguments.corpus)
    known = [name for name in clips.examples if clips.gold.truth[name].emotion is not None]
    clips = clips.only(spread(known, arguments.clips))
    gold, tags = clips.gold, oracle_tags(clips, config.evaluation.seed)
    rows, told = {}, []
    for system in arguments.systems:
        captioner = loaded(arguments, config, system, clips.examples)
        for which, asked in (("right", tags.right), ("wrong", tags.wrong)):
            told += [
                {
                    "system": system,
                    "tag": which,
                    "utterance_id": name,
                    "right_above": tags.until[name],
                    "p_act": acoustic_prompt(asked[name].clues),
                    "caption": said.text,
                }
                for name, said in captioner.captions(asked).items()
            ]
        for level in LEVELS:  # every caption of these is made by now
            rows[member(system, level)] = scored(gold, captioner.captions(tags.at(level)), {})
        del captioner
    for level in LEVELS:
        right = {name: {"emotion_agreement": float(tags.is_right(name, level))} for name in gold.ids}
        rows[member(TAG, level)] = [item_row(name, gold, right[name]) for name in gold.ids]
    tagged = {
        n: {"emotion_agreement": float(dominant_emotion(clips.predicted[n]) == gold.truth[n].emotion)} for n in right
    }
    rows[TAG] = [item_row(name, gold, tagged[name]) for name in gold.ids]
    scores = CorpusScores(config.evaluation, arguments.corpus, rows, {})
    found = curves(scores, arguments.systems)
    micro, macro = (
        scores.statistic(scores.values(TAG, metric), metric)[0]
        for metric in ("emotion_agreement", "emotion_agreement_macro")
    )
    out = arguments.out
    own = f"The run's own tags are right in {micro:.3f} of these clips, macro {macro:.3f} (no tag counts as wrong)."
    head = [f"# Oracle tags on {arguments.corpus}, {len(gold.ids)} clips", "", own, ""]
    text = "\n".join([*head, *lines_of(found), NOTES, ""])
    artifacts.write_text(text, out / "oracle_tags.md")
    artifacts.write_text(pd.DataFrame(found).to_csv(index=False), out / "oracle_tags.csv")
    artifacts.write_text(pd.DataFrame(told).to_csv(index=False), out / "oracle_tags_captions.csv")
    draw_tag_accuracy(found, arguments.systems, macro, out / "oracle_tags.svg", out / "oracle_tags.png")
    print(text)


if __name__ == "__main__":
    main()
