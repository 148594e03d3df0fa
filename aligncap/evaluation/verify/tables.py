"""What each table of a run is made of, and the function that the rule of its name makes it with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from aligncap.config import AlignCapConfig
from aligncap.evaluation.score import ScoringInputs, ScoringSettings
from aligncap.evaluation.tables import contents
from aligncap.evaluation.tables.assertions import AssertionsTable, write_assertions
from aligncap.evaluation.tables.claims import write_claims
from aligncap.evaluation.tables.columns import Key
from aligncap.evaluation.tables.comparison import ComparisonInputs, ComparisonSettings, TableFiles, write_comparison
from aligncap.evaluation.tables.judge_agreement import write_agreement
from aligncap.evaluation.tables.listeners import write_listeners_table
from aligncap.evaluation.tables.parser import write_parser_table
from aligncap.evaluation.tables.render import TableForms
from aligncap.evaluation.tables.seeds import Members
from aligncap.evaluation.tables.tag_reliance import write_tag_reliance
from aligncap.evaluation.tables.tagger import TaggerInputs, TaggerTables, write_tagger_table
from aligncap.evaluation.tables.zero_shot import write_zero_shot
from aligncap.evaluation.verify.cells import FLOAT32, to_the_digit
from aligncap.systems import candidates_name, corpus_names, pairs_name, seed_members

FORMS = (".parquet", ".csv", ".md", ".tex")
SHORT = (".parquet", ".md")


class Recomputation(NamedTuple):
    """How a table is computed again.

    Attributes:
        inputs: What it is made of.
        endings: What its files are called after its name.
        write: What makes these files, given in this order.
        tolerance: Column -> what its numbers may differ by.
    """

    inputs: Iterable[Path]
    endings: Sequence[str]
    write: Callable[..., None]
    tolerance: Callable[[str], float] = to_the_digit


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        results: Its folder ``results/{experiment}``.
        settings: The configuration that ``run.json`` recorded.
        models: Folder of the base models, of which the sentence encoder is read.
    """

    results: Path
    settings: AlignCapConfig
    models: Path

    def of(self, path: str, corpora: Sequence[str]) -> dict[str, Path]:
        """Return corpus -> artifact, from a path below the results with ``*`` in the corpus's place."""
        return {corpus: self.results / path.replace("*", corpus) for corpus in corpora}

    def evaluations(self, keys: Sequence[Key]) -> dict[Key, Path]:
        """Return (system or one seed of it, corpus) -> ``evaluation`` artifact."""
        return {(system, corpus): self.results / f"evaluation/{system}/{corpus}.parquet" for system, corpus in keys}

    @property
    def encoder(self) -> Path:
        """Manifest of the sentence encoder."""
        return self.models / self.settings.models.sentence_encoder.name / "manifest.json"


def recomputations(run: Run, zero_shot: Path) -> dict[str, Recomputation]:
    """Return table -> how it is computed again.

    Args:
        run: The finished run.
        zero_shot: The zero-shot table computed again, which tables 1 to 4 are made from (the stored one where it could
            not be); so they come after it.
    """
    settings, members = run.settings, seed_members(run.settings)
    evaluation, test, people = settings.evaluation, corpus_names(settings, "test"), contents.by_people(settings)
    every = run.evaluations(contents.scored(settings))
    tags, references = run.of("clues/*/predicted.parquet", test), run.of("corpora/*/references.parquet", people)
    found = {
        "zero_shot": Recomputation(
            every.values(),
            FORMS,
            lambda *out: write_zero_shot(evaluation, every, members, contents.marks(settings), TableForms(*out)),
        ),
        **{name: _comparison(run, name, members, zero_shot) for name in contents.comparisons(settings)},
        "tag_reliance": Recomputation(
            [*every.values(), *tags.values()],
            SHORT,
            lambda *out: write_tag_reliance(evaluation, every, members, tags, *out),
        ),
        "assertions": Recomputation(
            every.values(),
            (".parquet", ".csv", ".md"),
            lambda *out: write_assertions(evaluation, every, members, AssertionsTable(*out)),
        ),
        "tagger": _tagger(run),
    }
    if claims := contents.claims(settings):
        about = run.evaluations(contents.claimed(settings))
        found["claims"] = Recomputation(
            about.values(), FORMS, lambda *out: write_claims(claims, evaluation, about, members, TableForms(*out))
        )
    if people:
        gold, prosody = run.of("clues/*/gold.parquet", people), run.of("corpora/*/prosody.parquet", people)
        found["parser"] = Recomputation(
            references.values(), SHORT, lambda *out: write_parser_table(evaluation, references, *out)
        )
        found["listeners"] = Recomputation(
            [*references.values(), *gold.values(), *prosody.values()],
            SHORT,
            lambda *out: write_listeners_table(evaluation, references, gold, prosody, *out),
        )
    preference = [system for system, stage in contents.stages(settings).items() if stage == "preference"]
    if settings.judging.compared and preference:
        found["judge_agreement"] = _agreement(run, preference[0])
    return found


def _comparison(run: Run, name: str, members: Members, zero_shot: Path) -> Recomputation:
    settings, stored = run.settings, run.results / "tables/zero_shot.parquet"
    evaluations = run.evaluations(contents.compared(settings, name))
    wins = [key for key in evaluations if key[0] in contents.judged(settings)] if name == "table4" else []
    judged = {(system, corpus): run.results / f"judged/{system}/{corpus}.parquet" for system, corpus in wins}
    own = ComparisonSettings(
        name, getattr(settings.tables, name), members, settings.preference.judge.name, settings.evaluation
    )
    return Recomputation(
        [*run.evaluations(contents.scored(settings)).values(), *judged.values()],
        (*FORMS, "_tests.parquet", "_tests.csv"),
        lambda *out: write_comparison(
            own,
            ComparisonInputs(zero_shot if zero_shot.is_file() else stored, evaluations, judged),
            TableFiles(*out),
        ),
    )


def _tagger(run: Run) -> Recomputation:
    test = corpus_names(run.settings, "test")
    every = [*corpus_names(run.settings, "train"), *test]
    folds = [run.results / f"tagger/{name}.parquet" for name in ("out_of_fold", "other_folds")]
    weights = run.results / "tagger/tagger.safetensors"
    encoder = run.encoder if run.settings.tagger.text_clue == "join" else None
    inputs = TaggerInputs(
        folds,
        weights,
        references=run.of("corpora/*/references.parquet", every),
        prosody=run.of("corpora/*/prosody.parquet", every),
        timbre=run.of("corpora/*/timbre.parquet", every),
        audio=run.of("corpora/*/audio.parquet", every),
        transcripts=run.of("transcripts/*.parquet", every),
        features=run.of("features/*.parquet", test),
        encoder=encoder,
    )
    by_corpus = (inputs.references, inputs.prosody, inputs.timbre, inputs.audio, inputs.transcripts, inputs.features)
    needed = [path for own in by_corpus for path in own.values()]
    return Recomputation(
        [*folds, weights, *needed, *([encoder] if encoder else [])],
        (".parquet", "_reliability.parquet", ".md"),
        lambda *out: write_tagger_table(run.settings.tagger, run.settings.evaluation, inputs, TaggerTables(*out)),
        lambda column: FLOAT32,
    )


def _agreement(run: Run, system: str) -> Recomputation:
    settings, pairs = run.settings, pairs_name(run.settings, system)
    candidates = run.results / f"candidates/{candidates_name(settings, system)}.parquet"
    scores = {judge: run.results / f"judge_scores/{pairs}/{judge}.parquet" for judge in settings.judging.compared}
    return Recomputation(
        [candidates, *scores.values()],
        SHORT,
        lambda *out: write_agreement(settings.evaluation, settings.judging.margin, candidates, scores, *out),
    )


def scoring(run: Run, corpus: str) -> tuple[ScoringSettings, ScoringInputs]:
    """Return what the captions of a test corpus are scored with: the settings, and the inputs of all its systems."""
    own, stages = run.results / "corpora" / corpus, contents.stages(run.settings)
    systems = [s for s, name in contents.scored(run.settings) if name == corpus and stages[s] != "chance"]
    inputs = ScoringInputs(
        references=own / "references.parquet",
        prosody=own / "prosody.parquet",
        timbre=own / "timbre.parquet",
        transcripts=run.results / f"transcripts/{corpus}.parquet",
        audio=own / "audio.parquet",
        captions={system: run.results / f"captions/{system}/{corpus}.parquet" for system in systems},
        encoder=run.encoder,
        opinions=run.results / f"second_opinions/{corpus}.parquet",
    )
    return ScoringSettings(corpus, run.settings.evaluation, run.settings.compute), inputs
