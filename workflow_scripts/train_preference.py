"""Optimise the captioner on preference pairs: PO-Regularization."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.config import Compute, PreferenceTraining
        from aligncap.preference.train import train_preference
        from aligncap.training.data import training_inputs

        train_preference(
            smk.wildcards.system,
            PreferenceTraining(**smk.params.training),
            smk.params.seed,
            Compute(**smk.params.compute),
            training_inputs(smk.params.corpora, smk.input),
            CheckpointPaths(*map(Path, smk.input.parent)),
            Path(smk.input.llm),
            Path(smk.input.pairs),
            Path(smk.input.reference_logps),
            CheckpointPaths(*map(Path, smk.output)),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
