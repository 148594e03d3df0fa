"""Record what this experiment was made of."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.provenance import write_snapshot

        write_snapshot(smk.params.config, Path(smk.output.snapshot))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
