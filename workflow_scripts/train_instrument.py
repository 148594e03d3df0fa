"""Train the second instrument on the reference captions of the training corpora."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Compute
        from aligncap.evaluation.second_instrument import InstrumentFiles, InstrumentInputs, train_instrument

        compute, files = Compute(**smk.params.compute), given.outputs(InstrumentFiles)
        train_instrument(compute, smk.params.seed, given.inputs(InstrumentInputs), files)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
