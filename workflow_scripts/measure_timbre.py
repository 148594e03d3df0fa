"""Measure the voice quality of every clip."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.speech.timbre import measure_timbre

        measure_timbre(Path(smk.input.audio), Path(smk.output.timbre))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
