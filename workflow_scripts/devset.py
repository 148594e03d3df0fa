"""Keep some dev utterances of a training corpus."""

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk) as given:
        from aligncap.evaluation.in_domain import DevFiles, DevInputs, write_devset

        write_devset(smk.params.limit, smk.wildcards.corpus, given.inputs(DevInputs), given.outputs(DevFiles))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
