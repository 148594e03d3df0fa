"""Sample captions from the aligned captioner."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.config import Candidates, Compute
        from aligncap.preference.candidates import sample_candidates
        from aligncap.training.data import training_inputs

        sample_candidates(
            Candidates(**smk.params.candidates),
            smk.params.seed,
            Compute(**smk.params.compute),
            smk.params.max_new_tokens,
            training_inputs(smk.params.corpora, smk.input),
            CheckpointPaths(*map(Path, smk.input.parent)),
            Path(smk.input.llm),
            Path(smk.output.candidates),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
