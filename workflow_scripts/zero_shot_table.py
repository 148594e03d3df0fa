"""Put every system and test corpus into one table."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables import write_zero_shot

        outputs = (Path(smk.output.parquet), Path(smk.output.csv), Path(smk.output.md), Path(smk.output.tex))
        write_zero_shot(
            Evaluation(**smk.params.evaluation),
            by_name([tuple(row) for row in smk.params.rows], smk.input.evaluations),
            smk.params.members,
            smk.params.marks,
            *outputs,
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
