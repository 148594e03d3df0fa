"""Write the table of assertions, each checked by itself."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables.assertions import AssertionsTable, write_assertions

        write_assertions(
            Evaluation(**smk.params.evaluation),
            given.by("rows", smk.input.evaluations),
            smk.params.members,
            given.outputs(AssertionsTable),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
