"""Log-probabilities of the pairs under the reference policy."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.config import Compute
        from aligncap.preference.train import write_reference_logps
        from aligncap.training.data import training_inputs

        write_reference_logps(
            Compute(**smk.params.compute),
            training_inputs(smk.params.corpora, smk.input),
            CheckpointPaths(*map(Path, smk.input.parent)),
            Path(smk.input.llm),
            Path(smk.input.pairs),
            Path(smk.output.logps),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
