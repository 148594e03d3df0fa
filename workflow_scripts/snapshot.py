"""Record config, code version and inputs of this experiment."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.provenance import write_snapshot

        write_snapshot(smk.params.config, Path(smk.output.snapshot))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
