"""What saying, hedging and omitting an emotion in doubt do to agreement, coverage and hallucination.

Takes the captions of a finished run, which says everything (``decoding.doubt.way: say``), and settles what is in doubt
each way, as ``caption_testset`` does; no caption is generated anew. A hedged emotion is an assertion, so hedging
changes no column but those of firm captions, which assert an emotion without a hedge. "At equal coverage" is the rate
over the firm captions less that over the captions of ``say`` that assert an emotion, which ``say`` keeps at any smaller
coverage if it is silent on clips drawn at random. Below 0, doubt picks its clips better than chance. With ``--llm`` the
second instrument reads all captions.

    python benchmarks/hedging.py results/people --corpus emosec --systems kd aligncap --llm models/smollm2-135m-instruct
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from clips import spread

from aligncap import artifacts
from aligncap.clues.doubt import settle
from aligncap.clues.parser.grammar import is_hedged
from aligncap.config import Compute, Doubt, Evaluation
from aligncap.evaluation import bootstrap
from aligncap.evaluation.gold import Gold, read_gold
from aligncap.evaluation.hallucination import examine
from aligncap.evaluation.score import NO_OPINIONS, Opinions
from aligncap.evaluation.second_instrument import Instrument, llm_states
from aligncap.evaluation.wording import bounds, markdown_table
from aligncap.vocabulary import Clue, canonical

SAY = Doubt(way="say")
Values = dict[str, bootstrap.Array]  # metric -> value of each clip [n], NaN where it does not apply
# Column -> metric, and whether only firm captions count; what starts with "-" is less that of `say`, at equal coverage.
COLUMNS = {
    "coverage": ("coverage", False),
    "firm": ("firm", False),
    "agreement": ("emotion_agreement", False),
    "factuality halluc.": ("factuality_hallucination", False),
    "asserting captions": ("factuality_hallucination_covered", False),
    "firm captions": ("factuality_hallucination_covered", True),
    "at equal coverage": ("-factuality_hallucination_covered", True),
    "wrong emotion, firm": ("wrong_emotion", True),
    "wrong emotion at equal coverage": ("-wrong_emotion", True),
    "coverage, second": ("coverage_2", False),
    "factuality halluc., second": ("factuality_hallucination_2", False),
}


def settled(rows: Mapping[str, dict], clues: Mapping[str, Sequence[Clue]], doubt: Doubt) -> dict[str, tuple[str, bool]]:
    """Caption, and whether it is finished, by utterance id."""
    return {key: settle(row["caption"], row["finished"], clues[key], doubt) for key, row in rows.items()}


def measured(captions: Mapping[str, tuple[str, bool]], gold: Gold, ids: Sequence[str], opinions: Opinions) -> Values:
    """Item metrics of captions, in the order of ``ids``."""
    found: dict[str, list[float | None]] = {}
    for key in ids:
        text, finished = captions[key]
        own = examine(text, gold.truth[key], gold.transcript[key], gold.references[key], finished).values
        own |= opinions.values(text, gold.truth[key].emotion)
        agrees, covers = own["emotion_agreement"], own["coverage"]
        own["firm"] = float(bool(covers) and not is_hedged(text))
        own["wrong_emotion"] = None if agrees is None or not covers else 1 - agrees
        for metric, value in own.items():
            found.setdefault(metric, []).append(value)
    return {m: np.asarray([np.nan if v is None else v for v in values]) for m, values in found.items()}


def cell(weights: bootstrap.Array, own: Values, say: Values, metric: str, firm: bool) -> str:
    """Value and interval of one column."""
    name = metric.removeprefix("-")
    values = np.where(own["firm"] == 1, own[name], np.nan) if firm else own[name]
    if np.isnan(values).all():
        return "–"
    value, samples = np.nanmean(values), bootstrap.weighted_mean(weights, values)
    sign = "+" if metric.startswith("-") else ""
    if sign:
        value, samples = value - np.nanmean(say[name]), samples - bootstrap.weighted_mean(weights, say[name])
    return f"{value:{sign}.3f} {bounds(bootstrap.figure(value, samples, len(values)), 3, sign)}"


def read_by_second(results: Path, texts: Sequence[str], llm: Path | None) -> Opinions:
    """What the second instrument of a run reads in captions; nothing without an LLM."""
    if llm is None:
        return NO_OPINIONS
    instrument = Instrument.load(results / "instrument/instrument.safetensors")
    found = instrument.opinions(llm_states(texts, llm, Compute(precision="fp32", device="cpu")))
    return Opinions({text: dominant for text, (dominant, _) in zip(texts, found, strict=True)}, instrument.labels)


def main() -> None:
    """Print the Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results/EXPERIMENT of a finished run")
    parser.add_argument("--corpus", required=True, help="test corpus")
    parser.add_argument("--systems", nargs="+", default=["kd", "aligncap"])
    parser.add_argument("--below", nargs="+", type=float, default=[SAY.below], help="what is less probable is in doubt")
    parser.add_argument("--clips", type=int, help="number of clips, taken evenly (default: all)")
    parser.add_argument("--llm", type=Path, help="folder of the base LLM, with which the second instrument reads")
    parser.add_argument("--resamples", type=int, default=Evaluation().bootstrap)
    arguments = parser.parse_args()
    results, corpus = arguments.results, arguments.corpus
    files = ("references", "prosody", "timbre", "audio")
    at = {name: results / f"corpora/{corpus}/{name}.parquet" for name in files}
    transcripts = results / f"transcripts/{corpus}.parquet"
    gold = read_gold(at["references"], at["prosody"], at["timbre"], transcripts, at["audio"])
    ids = spread(gold.ids, arguments.clips)
    predicted = artifacts.read_rows(results / f"clues/{corpus}/predicted.parquet", "clues")
    clues = {row["utterance_id"]: [Clue.from_dict(clue) for clue in row["clues"]] for row in predicted}
    doubts = [SAY, *(Doubt(way=way, below=p) for p in arguments.below for way in ("hedge", "omit"))]
    said: dict[tuple[str, int], dict[str, tuple[str, bool]]] = {}
    for system in arguments.systems:
        rows = artifacts.read_rows(results / f"captions/{system}/{corpus}.parquet", "captions")
        own = {row["utterance_id"]: row for row in rows if row["utterance_id"] in set(ids)}
        said |= {(system, number): settled(own, clues, doubt) for number, doubt in enumerate(doubts)}
    texts = sorted({text for captions in said.values() for text, _ in captions.values()})
    opinions = read_by_second(results, texts, arguments.llm)
    classes = [canonical(gold.label[key]) for key in ids]
    weights = bootstrap.resample_weights([gold.cluster[key] for key in ids], classes, arguments.resamples, 0)
    body = []
    for system in arguments.systems:
        say = measured(said[system, 0], gold, ids, opinions)
        for number, doubt in enumerate(doubts):
            own_values = measured(said[system, number], gold, ids, opinions)
            cells = [cell(weights, own_values, say, *column) for column in COLUMNS.values()]
            body.append([f"`{system}`", doubt.way if number == 0 else f"{doubt.way} below {doubt.below:g}", *cells])
    head = ("system", "doubt", *COLUMNS)
    print("\n".join(markdown_table("ll" + "r" * len(COLUMNS), head, body)))
    told = f"95 % bootstrap by caption or session, {arguments.resamples} resamples"
    print(f"{len(ids)} clips of {corpus}; brackets: {told}.")


if __name__ == "__main__":
    main()
