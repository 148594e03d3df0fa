"""Values of tables by plain means of pandas, with no function that the tables are made with.

What is found here is the value of: every mean of items and every macro average of the zero-shot table and tables 1 to 4
(BLEU, METEOR, length ratio, collapse and distinct-n are no means of items, and win rates no metric); every claim and
every tested difference that is a difference of such means; the assertions table; and how often captions repeat the tag
or say another emotion. Intervals and p-values are not found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from aligncap import artifacts
from aligncap.evaluation.score import MACRO, MEANS
from aligncap.evaluation.tables.columns import Key
from aligncap.evaluation.tables.seeds import Members
from aligncap.evaluation.verify.cells import Cells
from aligncap.systems import plain_name
from aligncap.vocabulary import canonical

RATIOS = {  # metric of the assertions table -> verdicts that it counts, verdicts that it is a share of
    "precision": (["supported"], ["supported", "contradicted"]),
    "contradicted": (["contradicted"], ["supported", "contradicted", "not_checkable"]),
    "not_checkable": (["not_checkable"], ["supported", "contradicted", "not_checkable"]),
    "supported_per_caption": (["supported"], []),
    "contradicted_per_caption": (["contradicted"], []),
}


class PlainMeans:
    """The evaluations of a run as data frames.

    Args:
        evaluations: (system or one seed of it, corpus) -> ``evaluation`` artifact.
        members: Trained system -> its members and their seeds.
        tags: Corpus -> ``clues`` artifact of the tagger.
    """

    def __init__(self, evaluations: dict[Key, Path], members: Members, tags: dict[str, Path]) -> None:
        self._read = {key: artifacts.read(path, "evaluation") for key, path in evaluations.items()}
        self._items = {key: _items(rows) for key, rows in self._read.items()}
        self._classes = {
            key: pd.Series([canonical(label) for label in rows["label"]], rows["utterance_id"], dtype=object)
            for key, rows in self._read.items()
        }
        self._members = members
        self._tags = {corpus: _tags(path) for corpus, path in tags.items()}

    def zero_shot(self) -> Cells:
        """Return the values under the rows ``{system} {corpus} {metric}``, seed by seed too."""
        found: Cells = {}
        for system, corpus, names in self._rows():
            for metric in (*MEANS, *MACRO):
                values = [self._mean(self._items[name, corpus], self._classes[name, corpus], metric) for name in names]
                if not np.isnan(values).any():
                    found[f"{system} {corpus} {metric}", "value"] = float(np.mean(values))
        return found

    def difference(self, system: str, against: str, corpus: str, metric: str) -> float:
        """Return the mean over pairs of equal seeds of the difference, over the clips where both have the metric."""
        found = []
        for one, seed in self._seeds(system, corpus).items():
            for other, other_seed in self._seeds(against, corpus).items():
                if None in (seed, other_seed) or seed == other_seed:
                    first, second = self._items[one, corpus], self._items[other, corpus]
                    item = metric if metric in first else MACRO[metric][0]
                    both = first[item].dropna().index.intersection(second[item].dropna().index)
                    classes = self._classes[one, corpus].loc[both]
                    means = (self._mean(own.loc[both], classes, metric) for own in (first, second))
                    found.append(next(means) - next(means))
        return float(np.mean(found))

    def differences(self, wanted: Cells) -> Cells:
        """Return the values of wanted rows ``{system} {against} {corpus} {metric}`` whose metric is a plain mean."""
        found: Cells = {}
        for key, _ in wanted:
            system, against, corpus, metric = key.split(" ")
            if metric in (*MEANS, *MACRO) and self._seeds(system, corpus) and self._seeds(against, corpus):
                found[key, "value"] = self.difference(system, against, corpus, metric)
        return found

    def assertions(self) -> Cells:
        """Return the values of the assertions table under rows ``{system} {corpus} {kind} {metric}``."""
        found: Cells = {}
        for system, corpus, names in self._rows():
            rows = pd.concat([self._read[name, corpus] for name in names])
            own = pd.DataFrame([a for said in rows["assertions"] for a in said], columns=["kind", "verdict"])
            for kind, verdicts in [("all", own["verdict"]), *own.groupby("kind")["verdict"]]:
                for metric, (part, whole) in RATIOS.items():
                    count = verdicts.isin(whole).sum() if whole else len(rows)
                    if count and len(verdicts):
                        row = f"{system} {corpus} {kind} {metric}"
                        found[row, "value"] = float(verdicts.isin(part).sum() / count)
        return found

    def tag_reliance(self) -> Cells:
        """Return how often captions repeat the tag or say another emotion, as ``{system} {corpus} {metric}``."""
        found: Cells = {}
        for system, corpus, names in self._rows():
            rows = pd.concat([self._read[name, corpus] for name in names])
            tag = rows["utterance_id"].map(self._tags[corpus])
            said, tag = rows["dominant"][tag.notna()], tag[tag.notna()]
            if len(tag):
                found[f"{system} {corpus} repeats_tag", "value"] = float((said == tag).mean())
                found[f"{system} {corpus} departs", "value"] = float((said.notna() & (said != tag)).mean())
        return found

    def _seeds(self, system: str, corpus: str) -> dict[str, int | None]:
        own = self._members.get(system, {system: None})
        return {name: seed for name, seed in own.items() if (name, corpus) in self._read}

    def _rows(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield each row of a table: system or ``{system}@{seed}``, corpus, and the members that it is the mean of."""
        for system, corpus in dict.fromkeys((plain_name(name), corpus) for name, corpus in self._read):
            seeds = self._seeds(system, corpus)
            yield system, corpus, list(seeds)
            for name, seed in seeds.items() if len(seeds) > 1 else ():
                yield f"{system}@{seed}", corpus, [name]

    @staticmethod
    def _mean(items: pd.DataFrame, classes: pd.Series, metric: str) -> float:
        if metric not in MACRO:
            return float(items[metric].mean())
        item, minimum = MACRO[metric]
        groups = items[item].dropna().groupby(classes).agg(["mean", "size"])
        return float(groups.loc[groups["size"] >= minimum, "mean"].mean())


def _items(rows: pd.DataFrame) -> pd.DataFrame:
    pairs = zip(rows["metric_names"], rows["metric_values"], strict=True)
    return pd.DataFrame([dict(zip(*own, strict=True)) for own in pairs], rows["utterance_id"], dtype=float)


def _tags(path: Path) -> dict[str, str]:
    clues = artifacts.read(path, "clues")
    pairs = zip(clues["utterance_id"], clues["clues"], strict=True)
    return {name: clue["lemma"] for name, own in pairs for clue in own if clue["kind"] == "emotion"}
