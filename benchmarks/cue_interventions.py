"""How far captions follow the clues in the prompt, and how far the sound: test clips captioned again, one changed.

Systems of a finished run caption its test clips again, with the run's own decoding: clues as predicted, gold, of
another clip, contradicted or withheld, and speech embeddings of another clip or withheld (compare Acoustic Cue
Alignment in Audio Language Models, 2026, which does this to emotion recognition). Two rows are controls: "as
predicted", whose captions should be those of the run, and the same in other batches, where only rounding differs.

**Gold clues are an oracle here.** They are parsed from what people wrote about the very clip, which no captioner may
read otherwise. This is a diagnostic outside the pipeline: its captions never become a row of the zero-shot tables and
never reach training, and it writes nothing into the results.

What is given where, and each column, is defined in aligncap/evaluation/interventions.py. "Agreement" is with the
clip's emotion, the label where the corpus has one, else that of the human caption. Intervals are 95 % bootstrap, as in
the zero-shot table.

    python benchmarks/cue_interventions.py results/people emosec experiments/people.yaml --out build/interventions

Writes `cue_interventions.md`, `cue_interventions.csv` (every figure, and each difference from "as predicted") and
`cue_interventions_captions.csv` (every caption with its prompt).
"""

import argparse
import gc
import sys
from pathlib import Path

import pandas as pd
from clips import spread

from aligncap import artifacts
from aligncap.clues.prompts import acoustic_prompt
from aligncap.config import AlignCapConfig
from aligncap.evaluation import bootstrap
from aligncap.evaluation.interventions import (
    AS_PREDICTED,
    OTHER_BATCHES,
    Recaptioner,
    followed,
    interventions,
    load_recaptioner,
    read_clips,
    scored,
)
from aligncap.evaluation.tables.seeds import CorpusScores
from aligncap.evaluation.wording import bounds, markdown_table, worded
from aligncap.systems import load

ROOT = Path(__file__).parents[1]
COLUMNS = {
    "emotion_agreement": "agreement †",
    "emotion_agreement_macro": "agreement (macro) †",
    "coverage": "coverage",
    "factuality_hallucination": "factuality halluc. †",
    "given_right": "emotion given is right",
    "repeats_given": "repeats the emotion given",
    "repeats_predicted": "repeats the one predicted",
    "repeats_given_apart": "where they differ: the given",
    "repeats_predicted_apart": "where they differ: the predicted",
    "same": "same caption as as predicted",
}
COMPARED = {
    "emotion_agreement_macro": "agreement (macro) †",
    "factuality_hallucination_covered": "factuality halluc. at equal coverage †",
}
NOTES = (
    "Shares of clips, each with its 95 % bootstrap interval: agreement and hallucination of those whose label or "
    "prosody is known, the repeats of those whose clues have an emotion. † measured with the clue parser, which the "
    "training judge rewards. Differences are from the same system's captions as predicted, paired by clip, "
    "uncorrected. Gold clues are an oracle: none of these captions is a zero-shot result."
)


def read_arguments(about: str) -> argparse.Namespace:
    """Read the command line of both diagnostics; the results folder is not to be written into."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results folder of a finished run")
    parser.add_argument("corpus", help="test corpus")
    parser.add_argument("overlay", nargs="*", help="over config.yaml, as the experiment ran")
    parser.add_argument("--out", type=Path, required=True, help="folder to write, outside the results folder")
    parser.add_argument("--systems", nargs="+", default=["sft", "kd", "aligncap"])
    parser.add_argument("--clips", type=int, help="caption only so many clips, taken evenly; for a trial")
    arguments = parser.parse_args()
    if arguments.out.resolve().is_relative_to(arguments.results.resolve()):
        sys.exit(f"--out {arguments.out}: lies in the results folder {arguments.results}; name another folder")
    return arguments


def loaded(arguments: argparse.Namespace, config: AlignCapConfig, system: str, examples: dict) -> Recaptioner:
    """Load a system after the one before it is gone from memory."""
    gc.collect()
    llm = Path("models") / config.models.llm.name / "manifest.json"
    return load_recaptioner(arguments.results, system, llm, config, examples)


def table(scores: CorpusScores, system: str, given: list[str]) -> tuple[list[dict], list[str]]:
    """Return the figures of a system as rows of the CSV file, and as lines of Markdown."""
    rows, body, differing = [], [], []
    for name in given:
        own = {}
        for metric in dict.fromkeys((*COLUMNS, *COMPARED)):
            value, samples = scores.statistic(values := scores.values(f"{system}: {name}", metric), metric)
            n = int((values == values).sum())
            own[metric] = bootstrap.figure(value if n else None, samples, n)
            rows.append({"system": system, "given": name, "metric": metric, "less": "", **own[metric]})
        body.append([name, *(worded(own[metric], 3) for metric in COLUMNS)])
        if name == AS_PREDICTED:
            continue
        cells = [name]
        for metric in COMPARED:
            found = scores.difference(f"{system}: {name}", f"{system}: {AS_PREDICTED}", metric)
            cells.append("–" if found is None else f"{found.value:+.3f} {bounds(vars(found), 3, '+')}")
            if found is not None:
                figure = {key: vars(found)[key] for key in ("value", "ci_low", "ci_high", "n")}
                rows.append({"system": system, "given": name, "metric": metric, "less": AS_PREDICTED, **figure})
        differing.append(cells)
    lines = markdown_table("l" + "r" * len(COLUMNS), ("given", *COLUMNS.values()), body)
    lines += markdown_table("l" + "r" * len(COMPARED), ("less as predicted", *COMPARED.values()), differing)
    return rows, lines


def main() -> None:
    """Caption, score and write."""
    arguments = read_arguments(__doc__)
    config = load(ROOT / "config.yaml", *arguments.overlay)
    clips = read_clips(arguments.results, arguments.corpus)
    clips = clips.only(spread(list(clips.examples), arguments.clips))
    given, gold = interventions(clips, config.evaluation.seed), clips.gold
    rows, told, again = {}, [], {}
    for system in arguments.systems:
        path = arguments.results / f"captions/{system}/{arguments.corpus}.parquet"
        ran = {row["utterance_id"]: row["caption"] for row in artifacts.read_rows(path, "captions")}
        captioner = loaded(arguments, config, system, clips.examples)
        before = captioner.captions(given[AS_PREDICTED])
        again[system] = sum(before[i].text == ran[i] for i in before)
        for name, asked in given.items():
            said = captioner.in_other_batches() if name == OTHER_BATCHES else captioner.captions(asked)
            further = {
                i: followed(said[i], before[i].text, asked[i].clues, clips.predicted[i], gold.truth[i].emotion)
                for i in said
            }
            rows[f"{system}: {name}"] = scored(gold, said, further)
            told += [
                {
                    "system": system,
                    "given": name,
                    "utterance_id": i,
                    "p_act": acoustic_prompt(asked[i].clues),
                    "heard": asked[i].heard,
                    "caption": said[i].text,
                }
                for i in said
            ]
        del captioner
    scores = CorpusScores(config.evaluation, arguments.corpus, rows, {})
    figures, lines = [], [f"# Cue interventions on {arguments.corpus}, {len(gold.ids)} clips", ""]
    for system in arguments.systems:
        own, written = table(scores, system, list(given))
        figures += own
        equal = f"Of its {len(gold.ids)} captions as predicted {again[system]} are those of the run."
        lines += [f"## {system}", "", equal, "", *written]
    text = "\n".join([*lines, NOTES, ""])
    artifacts.write_text(text, arguments.out / "cue_interventions.md")
    artifacts.write_text(pd.DataFrame(figures).to_csv(index=False), arguments.out / "cue_interventions.csv")
    artifacts.write_text(pd.DataFrame(told).to_csv(index=False), arguments.out / "cue_interventions_captions.csv")
    print(text)


if __name__ == "__main__":
    main()
