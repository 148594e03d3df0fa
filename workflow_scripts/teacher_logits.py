"""Cache the teacher's token distributions over every response."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.alignment.teacher import LogitsInputs, LogitsSettings, write_teacher_logits

        out = Path(smk.output.logits)
        write_teacher_logits(given.settings(LogitsSettings), given.inputs(LogitsInputs), out, given.shard)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
