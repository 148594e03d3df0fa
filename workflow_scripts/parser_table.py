"""Measure the emotion grammar parser on human captions."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables.parser import write_parser_table

        write_parser_table(
            Evaluation(**smk.params.evaluation),
            given.by("corpora", smk.input.references),
            Path(smk.output.parquet),
            Path(smk.output.md),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
