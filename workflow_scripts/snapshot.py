"""Record what this experiment was made of."""

from pathlib import Path

from aligncap.job import start


def main(smk):
    """Run with what the rule declares."""
    start(smk.log[0])
    from aligncap.provenance import write_snapshot

    write_snapshot(smk.params.config, Path(smk.output.snapshot))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
