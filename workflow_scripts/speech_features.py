"""Run the frozen speech encoder once over a corpus."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.config import Compute, Features
        from aligncap.speech.features import extract_features

        settings = Features(**smk.params.features), Compute(**smk.params.compute)
        extract_features(*settings, Path(smk.input.audio), Path(smk.input.encoder), Path(smk.output.features))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
