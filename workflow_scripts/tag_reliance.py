"""Measure how often captions repeat the predicted emotion tag, and their gain where they do not."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables.tag_reliance import write_tag_reliance

        write_tag_reliance(
            Evaluation(**smk.params.evaluation),
            given.by("rows", smk.input.evaluations),
            smk.params.members,
            given.by("corpora", smk.input.predicted),
            Path(smk.output.parquet),
            Path(smk.output.md),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
