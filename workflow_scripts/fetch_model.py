"""Fetch the weights of one model and list its files with their checksums."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.config import ModelSource
        from aligncap.models.sources import fetch_model

        fetch_model(ModelSource(**smk.params.source), Path(smk.output.manifest))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
