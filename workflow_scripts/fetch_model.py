"""Fetch the weights of one model and list its files with their checksums."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.captioner.sources import fetch_model
        from aligncap.config import ModelSource

        fetch_model(ModelSource(**smk.params.source), Path(smk.output.manifest))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
