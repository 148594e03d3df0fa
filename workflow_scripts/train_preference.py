"""Optimise the captioner on preference pairs: PO-Regularization."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.preference.train import PreferenceInputs, PreferenceSettings, train_preference

        checkpoint = given.outputs(CheckpointPaths)
        train_preference(given.settings(PreferenceSettings), given.inputs(PreferenceInputs), checkpoint)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
