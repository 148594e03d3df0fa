"""Cache the distributions of the teacher over every response."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk) as given:
        from aligncap.alignment.teacher import LogitsInputs, LogitsSettings, write_teacher_logits

        write_teacher_logits(given.settings(LogitsSettings), given.inputs(LogitsInputs), Path(smk.output.logits))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
