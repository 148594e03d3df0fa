"""Measure the agreement of judges on the same candidates."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables.judge_agreement import write_agreement

        write_agreement(
            Evaluation(**smk.params.evaluation),
            smk.params.margin,
            Path(smk.input.candidates),
            given.by("judges", smk.input.scores),
            Path(smk.output.table),
            Path(smk.output.md),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
