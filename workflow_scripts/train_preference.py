"""Optimise the captioner on preference pairs: PO-Regularization."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.preference.train import PreferenceInputs, PreferenceSettings, train_preference
        from aligncap.training.processes import call

        files = given.inputs(PreferenceInputs), given.outputs(CheckpointPaths)
        call(given, train_preference, given.settings(PreferenceSettings), *files)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
