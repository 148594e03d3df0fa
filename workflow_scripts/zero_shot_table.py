"""Put every system and test corpus into one table."""

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk) as given:
        from aligncap.config import Evaluation
        from aligncap.evaluation.tables import ZeroShotFiles, write_zero_shot

        write_zero_shot(
            Evaluation(**smk.params.evaluation),
            given.by("rows", smk.input.evaluations),
            smk.params.members,
            smk.params.marks,
            given.outputs(ZeroShotFiles),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
