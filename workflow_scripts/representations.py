"""Collect what the LLM makes of speech and of the paired text."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.config import Compute, Representations
        from aligncap.evaluation.figures.representations import collect_representations
        from aligncap.training.data import training_inputs

        collect_representations(
            Representations(**smk.params.representations),
            Compute(**smk.params.compute),
            training_inputs(smk.params.corpora, smk.input),
            CheckpointPaths(*map(Path, smk.input.checkpoint)),
            Path(smk.input.llm),
            Path(smk.output.vectors),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
