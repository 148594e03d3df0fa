"""Test the claims of the paper on every test corpus."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables.claims import write_claims
        from aligncap.evaluation.tables.render import TableForms

        write_claims(
            [tuple(pair) for pair in smk.params.claims],
            Evaluation(**smk.params.evaluation),
            given.by("rows", smk.input.evaluations),
            smk.params.members,
            given.outputs(TableForms),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
