"""Which tables an experiment has, and which rows they have: asked by the rules and by ``aligncap verify``."""

from __future__ import annotations

from collections.abc import Sequence

from aligncap.config import AlignCapConfig
from aligncap.corpora.registry import may_have_human_captions, traits_of
from aligncap.evaluation.tables.columns import Key
from aligncap.storage import same_place
from aligncap.systems import corpus_names, lineage, plain_name


def stages(settings: AlignCapConfig) -> dict[str, str | None]:
    """Return the stage of every system, one seed of it included."""
    return {system: lineage(settings, system).stage for system in settings.systems}


def scored(settings: AlignCapConfig) -> list[Key]:
    """Return (system or one seed of it, test corpus); an external system may have captions of some corpora only."""
    return [
        (system, corpus)
        for system, stage in stages(settings).items()
        for corpus in corpus_names(settings, "test")
        if stage != "external" or corpus in lineage(settings, system).captions
    ]


def judged(settings: AlignCapConfig) -> list[str]:
    """Return the systems whose captions are judged, external ones last, where they cover every test corpus."""
    own = stages(settings)
    every = set(corpus_names(settings, "test"))
    others = [s for s, stage in own.items() if stage == "external" and every <= set(lineage(settings, s).captions)]
    return [system for system, stage in own.items() if stage not in ("external", "chance")] + others


def rows_of(settings: AlignCapConfig, table: str) -> list[str]:
    """Return the systems of ``tables.{table}`` that the experiment has, by their plain names."""
    wanted = getattr(settings.tables, table).systems
    plain_names = list(dict.fromkeys(map(plain_name, settings.systems)))
    return plain_names if wanted is None else [system for system in wanted if system in plain_names]


def comparisons(settings: AlignCapConfig) -> list[str]:
    """Return the names of tables 1 to 4 that the experiment has; a table of one row compares nothing."""
    names = [name for name in type(settings.tables).model_fields if name.startswith("table")]
    return [name for name in names if len(rows_of(settings, name)) > 1]


def compared(settings: AlignCapConfig, table: str) -> list[Key]:
    """Return the keys of ``scored`` that the rows of a table and its baseline have."""
    systems = {*rows_of(settings, table), getattr(settings.tables, table).against}
    return [key for key in scored(settings) if plain_name(key[0]) in systems]


def claims(settings: AlignCapConfig) -> list[tuple[str, str]]:
    """Return the claims that the experiment has both systems of."""
    present = {plain_name(system) for system in settings.systems}
    return [(first, second) for first, second in settings.tables.claims if {first, second} <= present]


def claimed(settings: AlignCapConfig) -> list[Key]:
    """Return the keys of ``scored`` that the claims are about."""
    about = {system for pair in claims(settings) for system in pair}
    return [key for key in scored(settings) if plain_name(key[0]) in about]


def by_people(settings: AlignCapConfig) -> list[str]:
    """Return the test corpora whose captions people wrote, or may have."""
    return [
        corpus
        for corpus in corpus_names(settings, "test")
        if may_have_human_captions(settings.corpora[corpus].adapter)
        and settings.corpora[corpus].captions.source in ("auto", "corpus")
    ]


def marks(settings: AlignCapConfig) -> dict[str, str]:
    """Return the mark of every row, and that of every test corpus which has one."""
    found = {corpus: _mark_of_corpus(settings, corpus) for corpus in corpus_names(settings, "test")}
    return {system: _mark(settings, stage) for system, stage in stages(settings).items()} | {
        corpus: mark for corpus, mark in found.items() if mark
    }


def _mark(settings: AlignCapConfig, stage: str | None) -> str:
    """Return a row's mark; with statistics of unlabelled test audio, readers of predicted clues are transductive."""
    if stage == "external":
        return "external"
    reads_clues = stage in ("tag_template", "alignment", "preference")
    return "transductive" if reads_clues and settings.tagger.normalise != "train" else "zero-shot"


def _mark_of_corpus(settings: AlignCapConfig, corpus: str) -> str:
    """Return a test corpus's mark: synthetic speech, or another part of a corpus that models were trained on."""
    own = settings.corpora[corpus]
    traits = traits_of(own.adapter)

    def has_part_in(names: Sequence[str]) -> bool:
        others = [settings.corpora[name] for name in names]
        by_one_adapter = own.adapter in [other.adapter for other in others]
        here = any(same_place(own.root, other.root, own.adapter == other.adapter) for other in others)
        return here or (traits.one_data_set and by_one_adapter)

    found = {
        "synthetic": traits.synthetic,
        "in-domain": has_part_in(corpus_names(settings, "train")),
        "unlabelled audio": has_part_in(corpus_names(settings, "unlabelled")),
    }
    return ", ".join(name for name, holds in found.items() if holds)
