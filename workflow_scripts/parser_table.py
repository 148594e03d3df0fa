"""Measure the emotion grammar parser on human captions."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables.parser import write_parser_table

        references = by_name(smk.params.corpora, smk.input.references)
        evaluation = Evaluation(**smk.params.evaluation)
        write_parser_table(evaluation, references, Path(smk.output.parquet), Path(smk.output.md))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
