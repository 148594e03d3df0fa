"""A finished run computed again: its tables, and the metrics of every caption.

Every cell is checked in one of these ways; numbers of Parquet and CSV agree to 1e-9, text to its last character.

1. The captions, labels, prosody, timbre, transcripts and second opinions are scored again by ``score_captions``, which
   gives every metric, flag and assertion of every caption, and the corpus figures of each system with their intervals
   (BLEU, METEOR, collapse … too). They are compared with ``evaluation/``; a mean of cosines, which is of float32
   vectors, agrees to 1e-5. Clues, second opinions and judges' scores are taken as they are: models gave them.
2. The files of ``tables/`` are made again from the stored ``evaluation/`` and the other artifacts, by the functions
   that the rules call, with the seed and the resamples of the run. This checks every cell. In the tagger's table the
   saved tagger predicts the test corpora again, in float32, so that numbers agree to 1e-5.
3. Values that are plain means are computed once more by pandas alone (``plain.py`` says which), so that a fault in
   the functions of 2 does not vouch for itself.

Beside them, no recording of a test corpus may be one of a training corpus, by the SHA-256 of its file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from aligncap import artifacts
from aligncap.config import Evaluation
from aligncap.errors import AlignCapError, ArtifactError, ConfigError, MetricError
from aligncap.evaluation import metrics
from aligncap.evaluation.score import Evaluations, score_captions
from aligncap.evaluation.tables import contents
from aligncap.evaluation.verify.cells import ABSENT, EXACT, FLOAT32, Cells, Differing, differing, read_cells
from aligncap.evaluation.verify.plain import PlainMeans
from aligncap.evaluation.verify.tables import Run, recomputations, scoring
from aligncap.systems import corpus_names, parse, seed_members

# What is raised where artifacts cannot be read, or do not fit together because one was changed.
BROKEN = (AlignCapError, OSError, ValueError, LookupError)
NEW = "that what was tested is new to the models"


@dataclass
class Verdict:
    """What was found.

    Attributes:
        cells: Number of cells of tables that were computed again.
        tables: Number of tables.
        captions: Number of captions that were scored again.
        different: Cells that differ.
        problems: What is amiss, such as a missing artifact, in one line -> what cannot be verified for that reason.
    """

    cells: int = 0
    tables: int = 0
    captions: int = 0
    different: list[Differing] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)

    def cannot(self, verify: str, problem: object) -> None:
        """Keep that something cannot be verified, and why."""
        self.problems.setdefault(str(problem), []).append(verify)


def verify(results: Path, models: Path, captions: bool = True) -> Verdict:
    """Compute a finished run again and compare; nothing is written below ``results``.

    Args:
        results: Folder of the experiment.
        models: Folder of the base models, for the sentence encoder.
        captions: Whether the captions are scored again, which takes as long as it took the run.

    Raises:
        ArtifactError: The folder holds no ``run.json``.
        ConfigError: The configuration in it is not one of this version.
    """
    try:
        config = json.loads((results / "run.json").read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(
            f"{results / 'run.json'}: no record of a finished run ({error}); give the folder results/EXPERIMENT of one"
        ) from None
    try:
        run, verdict = Run(results, parse(config), models), Verdict()
    except ConfigError as error:
        raise ConfigError(f"{results / 'run.json'}: {error}; verify the run with the version that made it") from None
    with tempfile.TemporaryDirectory() as folder:
        if captions:
            for corpus in corpus_names(run.settings, "test"):
                _captions(run, corpus, Path(folder), verdict)
        _tables(run, Path(folder), verdict)
    _plain_means(run, verdict)
    _recordings(run, verdict)
    return verdict


def _present(paths: Iterable[Path], what: str, verdict: Verdict) -> bool:
    """Return whether the files exist, and name those that do not."""
    missing = [path for path in paths if not path.is_file()]
    for path in missing:
        verdict.cannot(what, f"{path}: missing")
    return not missing


def _why(error: Exception) -> str:
    """Return one line; an error that is not ours comes of artifacts that were not made together."""
    if isinstance(error, AlignCapError):
        return str(error)
    return f"its artifacts do not fit together ({type(error).__name__}: {' '.join(str(error).split())})"


def _tables(run: Run, out: Path, verdict: Verdict) -> None:
    stored = run.results / "tables"
    known = set()
    for name, own in recomputations(run, out / "zero_shot.parquet").items():
        files = [f"{name}{ending}" for ending in own.endings]
        known |= set(files)
        verdict.tables += 1
        _present((stored / file for file in files), f"table {name}", verdict)
        if not _present(own.inputs, f"table {name}", verdict):
            continue
        try:
            own.write(*(out / file for file in files))
            for file in files:
                if (stored / file).is_file():
                    cells = read_cells(out / file)
                    verdict.cells += len(cells)
                    verdict.different += differing(f"tables/{file}", read_cells(stored / file), cells, own.tolerance)
        except BROKEN as error:
            verdict.cannot(f"table {name}", _why(error))
    for path in sorted(stored.glob("[!.]*")):
        if path.name not in known:
            verdict.cannot(f"table {path.stem}", f"{path}: run.json records no such table of this experiment")


def _captions(run: Run, corpus: str, out: Path, verdict: Verdict) -> None:
    settings, inputs = scoring(run, corpus)
    stored = {s: path for (s, c), path in run.evaluations(contents.scored(run.settings)).items() if c == corpus}
    named = [inputs.references, inputs.prosody, inputs.timbre, inputs.transcripts, inputs.audio, inputs.encoder]
    needed = [*named, *([inputs.opinions] if inputs.opinions else []), *inputs.captions.values(), *stored.values()]
    if not _present(needed, f"scores on {corpus}", verdict):
        return
    try:
        changed = {s for s, path in inputs.captions.items() if _other_captions(run, stored[s], path, verdict)}
        outs = {system: out / "evaluation" / system / f"{corpus}.parquet" for system in stored if system not in changed}
        own = {system: path for system, path in inputs.captions.items() if system not in changed}
        wanted = replace(settings, evaluation=_as_it_was(settings.evaluation, stored.values()))
        score_captions(wanted, replace(inputs, captions=own), Evaluations(outs))
        for system, path in outs.items():
            cells = read_cells(path)
            verdict.captions += len({row for row, column in cells if column == "caption"})
            file = stored[system].relative_to(run.results).as_posix()
            verdict.different += differing(file, _measured(read_cells(stored[system])), _measured(cells), _tolerance)
    except BROKEN as error:
        verdict.cannot(f"scores on {corpus}", _why(error))


def _other_captions(run: Run, scored: Path, captions: Path, verdict: Verdict) -> bool:
    """Return whether the scores are of other captions than lie there, and name each: its system cannot be scored."""
    now = {row["utterance_id"]: row["caption"] for row in artifacts.read_rows(captions, "captions")}
    then = {row["utterance_id"]: row["caption"] for row in artifacts.read_rows(scored, "evaluation")}
    file = scored.relative_to(run.results).as_posix()
    found = [
        Differing(file, name, "caption", then.get(name, ABSENT), now.get(name, ABSENT))
        for name in dict.fromkeys([*then, *now])
        if then.get(name) != now.get(name)
    ]
    verdict.different += found
    return bool(found)


def _as_it_was(evaluation: Evaluation, scored: Iterable[Path]) -> Evaluation:
    """Return the settings without METEOR and SPICE where the run had none.

    Raises:
        MetricError: The run had a metric that this machine cannot compute.
    """
    absent = {metric for path in scored for metric in artifacts.read_notes(path, "evaluation")["unavailable"]}
    meteor, spice = "meteor" not in absent, "spice" not in absent
    for metric, reason in metrics.why_absent(meteor, "auto" if spice else "off").items():
        if metric not in absent:
            raise MetricError(f"{metric} is in the run and cannot be computed here: {reason}; or give --tables-only")
    return evaluation.model_copy(update={"meteor": meteor, "spice": "require" if spice else "off"})


def _measured(cells: Cells) -> Cells:
    """Return the cells without the reasons for absent metrics, which tell of a machine."""
    return {(row, column): value for (row, column), value in cells.items() if not column.startswith("unavailable.")}


def _tolerance(column: str) -> float:
    return FLOAT32 if "similarity" in column.split(".") else EXACT


def _plain_means(run: Run, verdict: Verdict) -> None:
    tags = run.of("clues/*/predicted.parquet", corpus_names(run.settings, "test"))
    evaluations, stored = run.evaluations(contents.scored(run.settings)), run.results / "tables"
    if not _present([*evaluations.values(), *tags.values()], "plain means", verdict):
        return
    try:
        means = PlainMeans(evaluations, seed_members(run.settings), tags)
        values = means.zero_shot()
        for name in ("zero_shot", *contents.comparisons(run.settings)):
            _compare_means(stored / f"{name}.parquet", lambda cells: values, verdict)
        for name in ("claims", *(f"{name}_tests" for name in contents.comparisons(run.settings))):
            _compare_means(stored / f"{name}.parquet", means.differences, verdict)
        _compare_means(stored / "assertions.parquet", lambda cells: means.assertions(), verdict)
        _compare_means(stored / "tag_reliance.parquet", lambda cells: means.tag_reliance(), verdict)
    except BROKEN as error:
        verdict.cannot("plain means", _why(error))


def _recordings(run: Run, verdict: Verdict) -> None:
    def files(role: str) -> Iterator[tuple[str, str]]:
        for corpus, path in run.of("corpora/*/audio.parquet", corpus_names(run.settings, role)).items():
            if _present([path], NEW, verdict):
                for row in artifacts.stream_rows(path, "audio", columns=["utterance_id", "audio_sha256"]):
                    yield row["audio_sha256"], f"{corpus}/{row['utterance_id']}"

    try:
        heard = dict(files("train"))
        both = [(clip, heard[digest]) for digest, clip in files("test") if digest in heard]
    except BROKEN as error:
        verdict.cannot(NEW, _why(error))
        return
    if both:
        clip, other = both[0]
        what = f"{len(both)} recordings are in a test and in a training corpus, first {clip} and {other}"
        verdict.cannot(NEW, what)


def _compare_means(path: Path, values: Callable[[Cells], Cells], verdict: Verdict) -> None:
    if path.is_file():
        cells = {key: value for key, value in read_cells(path).items() if key[1] == "value"}
        found = {key: value for key, value in values(cells).items() if key in cells}
        verdict.different += differing(f"tables/{path.name} (plain means)", {key: cells[key] for key in found}, found)
