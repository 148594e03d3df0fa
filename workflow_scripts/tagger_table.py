"""Measure the clue tagger: accuracy and calibration, in-domain and zero-shot."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation, TaggerSettings
        from aligncap.evaluation.tables.tagger import TaggerInputs, TaggerTables, write_tagger_table

        tagger, evaluation = TaggerSettings(**smk.params.tagger), Evaluation(**smk.params.evaluation)
        write_tagger_table(tagger, evaluation, given.inputs(TaggerInputs), given.outputs(TaggerTables))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
