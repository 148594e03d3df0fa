"""Caption a corpus with a trained system."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.captioner.caption import CaptioningInputs, caption_testset
        from aligncap.config import Compute, Decoding

        decoding, compute, out = Decoding(**smk.params.decoding), Compute(**smk.params.compute), smk.output.captions
        caption_testset(decoding, compute, given.inputs(CaptioningInputs), Path(out), given.shard)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
