"""Select dev utterances of a training corpus for in-domain measurement."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.evaluation.in_domain import DevFiles, DevInputs, write_devset

        write_devset(smk.params.limit, smk.wildcards.corpus, given.inputs(DevInputs), given.outputs(DevFiles))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
