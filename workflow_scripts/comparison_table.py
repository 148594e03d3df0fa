"""Write one of tables 1 to 4."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Evaluation, Table
        from aligncap.evaluation.tables import TableFiles, write_comparison

        write_comparison(
            smk.wildcards.table,
            Table(**smk.params.table),
            Evaluation(**smk.params.evaluation),
            Path(smk.input.zero_shot),
            by_name([tuple(row) for row in smk.params.rows], smk.input.evaluations),
            smk.params.members,
            by_name([tuple(row) for row in smk.params.judged], smk.input.judged),
            smk.params.training_judge,
            TableFiles(*map(Path, smk.output)),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
