"""Let the teacher generate a response to the text input of every utterance."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.alignment.training_items import ResponsesInputs, ResponsesSettings, write_teacher_responses

        out = Path(smk.output.responses)
        write_teacher_responses(given.settings(ResponsesSettings), given.inputs(ResponsesInputs), out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
