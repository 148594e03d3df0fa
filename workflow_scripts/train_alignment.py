"""Align speech with text by KD-Regularization or a rival method."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.alignment.train import AlignmentInputs, AlignmentSettings, train_alignment
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.training.processes import call

        files = given.inputs(AlignmentInputs), given.outputs(CheckpointPaths)
        call(given, train_alignment, given.settings(AlignmentSettings), *files)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
