"""Measure what keeping the teacher's top k tokens costs."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.alignment.truncation import write_kl_truncation
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.config import Compute, Teacher
        from aligncap.training.data import training_inputs

        write_kl_truncation(
            smk.wildcards.system,
            Teacher(**smk.params.teacher),
            smk.params.utterances,
            Compute(**smk.params.compute),
            training_inputs(smk.params.corpora, smk.input),
            CheckpointPaths(*map(Path, smk.input.checkpoint)),
            Path(smk.input.llm),
            Path(smk.output.parquet),
            Path(smk.output.md),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
