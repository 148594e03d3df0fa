"""Measure pitch, level, rate and pauses of every clip."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk):
        from aligncap.speech.prosody import measure_prosody

        measure_prosody(Path(smk.input.audio), Path(smk.output.prosody), smk.params.level_normalised)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
