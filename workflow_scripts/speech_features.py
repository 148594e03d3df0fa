"""Run the frozen speech encoder once over a corpus."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Compute, Features
        from aligncap.speech.features import extract_features

        features, compute, out = Features(**smk.params.features), Compute(**smk.params.compute), smk.output.features
        extract_features(features, compute, Path(smk.input.audio), Path(smk.input.encoder), Path(out), given.shard)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
