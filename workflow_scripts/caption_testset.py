"""Caption a corpus with a trained system."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.captioner.caption import caption_testset
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.config import Compute, Decoding

        caption_testset(
            Decoding(**smk.params.decoding),
            Compute(**smk.params.compute),
            CheckpointPaths(*map(Path, smk.input.checkpoint)),
            Path(smk.input.llm),
            Path(smk.input.features),
            Path(smk.input.predicted),
            Path(smk.output.captions),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
