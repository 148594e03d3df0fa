"""Write the zero-shot table of every system on every test corpus."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables.render import TableForms
        from aligncap.evaluation.tables.zero_shot import write_zero_shot

        write_zero_shot(
            Evaluation(**smk.params.evaluation),
            given.by("rows", smk.input.evaluations),
            smk.params.members,
            smk.params.marks,
            given.outputs(TableForms),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
