"""Two experiments side by side: each system of both, on the same test clips, as paired differences.

    python tools/compare_experiments.py results/text_clue results/emosec --systems tag_template sft kd aligncap
    python tools/compare_experiments.py results/indomain_dev --dev-against kd

The first prints first minus second as Markdown, for every test corpus and system whose scores both have over the same
utterances, seed by seed where both have several: 95 % paired bootstrap, p, and p after Holm's correction over all that
is printed of a corpus. For what no overlay can put into one experiment, such as another tagger or other transcripts.
The second prints the other systems minus one, on the dev clips of the training corpora that figure 1 is drawn from.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.errors import AlignCapError
from aligncap.evaluation.tables.columns import COLUMNS
from aligncap.evaluation.tables.seeds import Difference, corrected, of_one_corpus, scores_by_corpus
from aligncap.evaluation.wording import difference_cells
from aligncap.systems import plain_name

METRICS = (
    "emotion_agreement_macro",
    "emotion_agreement_macro_2",
    "factuality_hallucination_covered",
    "factuality_hallucination_covered_2",
    "contradicted_clues",
    "similarity",
)
# Dev clips are few of a class, and the second instrument does not judge them.
DEV_METRICS = ("emotion_agreement", "factuality_hallucination_covered", "contradicted_clues", "similarity")
Pairs = dict[tuple[str, str], tuple[Path, Path]]


def shared(first: Path, second: Path, systems: list[str] | None) -> Pairs:
    """(system or one seed of it, corpus) -> its scores in both experiments, where they are of the same utterances."""
    found = {}
    for path in sorted(first.glob("evaluation/*/*.parquet")):
        key, other = (path.parent.name, path.stem), second / path.relative_to(first)
        if not other.is_file() or (systems and plain_name(key[0]) not in systems):
            continue
        ids = [[row["utterance_id"] for row in artifacts.read_rows(own, "evaluation")] for own in (path, other)]
        if ids[0] == ids[1]:
            found[key] = (path, other)
        else:
            print(f"left out: {key[0]} on {key[1]} was scored on other utterances in {second.name}", file=sys.stderr)
    return found


def on_dev(experiment: Path, against: str, systems: list[str] | None) -> Pairs:
    """(system, training corpus) -> its scores on dev clips and those of ``against``."""
    found = {}
    for path in sorted(experiment.glob("in_domain/evaluation/*/*.parquet")):
        system, baseline = path.parent.name, path.parents[1] / against / path.name
        if system != against and baseline.is_file() and (not systems or plain_name(system) in systems):
            found[system, path.stem] = (path, baseline)
    return found


def differences(evaluation: Evaluation, pairs: Pairs, metrics: tuple[str, ...]) -> list[Difference]:
    """First minus second of every system, Holm-corrected over each corpus."""
    paths, members = {}, {}
    for (system, corpus), both in pairs.items():
        seed = int(system.partition("@")[2] or -1)  # any number, for the one without is the first of both
        for side, path in zip(("first", "second"), both, strict=True):
            paths[f"{side} {system}", corpus] = path
            members.setdefault(f"{side} {plain_name(system)}", {})[f"{side} {system}"] = seed
    names = dict.fromkeys(plain_name(system) for system, _ in pairs)
    found = []
    for scores in scores_by_corpus(evaluation, paths, members).values():
        tried = [scores.difference(f"first {s}", f"second {s}", m) for s in names for m in metrics]
        found += [replace(d, system=d.system.removeprefix("first ")) for d in tried if d is not None]
    return corrected(found, of_one_corpus)


def main() -> int:
    """Print the table; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path, help="results/{experiment}")
    other = parser.add_mutually_exclusive_group(required=True)
    other.add_argument("second", type=Path, nargs="?", help="results/{experiment}, which is subtracted")
    other.add_argument("--dev-against", metavar="SYSTEM", help="subtract this system of the first, on dev clips")
    parser.add_argument("--systems", nargs="+", help="those of these names only")
    parser.add_argument("--bootstrap", type=int, default=4000, help="resamples (default 4000)")
    given = parser.parse_args()
    try:
        if given.second is not None:
            pairs, metrics = shared(given.first, given.second, given.systems), METRICS
            title = f"{given.first.name} - {given.second.name}"
            remedy = "share no scores; run both experiments first"
        else:
            pairs, metrics = on_dev(given.first, given.dev_against, given.systems), DEV_METRICS
            title = f"{given.first.name} - {given.dev_against}"
            remedy = "have no scores on dev clips; name both in figures.drop"
        rows = differences(Evaluation(bootstrap=given.bootstrap), pairs, metrics)
    except AlignCapError as error:
        print(error, file=sys.stderr)
        return 1
    if not rows:
        print(f"{given.first} and {given.second or given.dev_against} {remedy}", file=sys.stderr)
        return 1
    print(f"| {title} | corpus | metric | difference | interval | p | p (Holm) | n |")
    print("|---|---|---|---:|---|---:|---:|---:|")
    for d in rows:
        cells = (f"`{d.system}`", d.corpus, COLUMNS[d.metric].heading, *difference_cells(vars(d)), str(d.n))
        print(f"| {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
