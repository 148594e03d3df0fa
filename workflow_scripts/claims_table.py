"""Test the claims of the paper."""

from pathlib import Path

from aligncap.job import by_name, job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables import ClaimsFiles, write_claims

        write_claims(
            [tuple(pair) for pair in smk.params.claims],
            Evaluation(**smk.params.evaluation),
            by_name([tuple(row) for row in smk.params.rows], smk.input.evaluations),
            smk.params.members,
            ClaimsFiles(*map(Path, smk.output)),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
