"""Measure the clue tagger: accuracy and calibration, in-domain and zero-shot."""

from pathlib import Path

from aligncap.job import by_name, job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.clues.tagger.training import Measured
        from aligncap.config import Evaluation, Tagger
        from aligncap.evaluation.tables.tagger import TaggerInputs, write_tagger_table

        files, corpora = smk.input, smk.params.corpora
        measured = Measured(*(by_name(corpora, table) for table in (files.references, files.prosody, files.timbre)))
        inputs = TaggerInputs(
            [Path(path) for path in files.predictions],
            Path(files.weights),
            measured,
            *(by_name(corpora, table) for table in (files.audio, files.transcripts)),
            by_name(smk.params.test, files.features),
            only(files.encoder),
        )
        settings = Tagger(**smk.params.tagger), Evaluation(**smk.params.evaluation)
        write_tagger_table(*settings, inputs, *(Path(file) for file in smk.output))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
