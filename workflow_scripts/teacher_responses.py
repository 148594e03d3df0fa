"""Let the teacher answer the text input of every utterance."""

from pathlib import Path

from aligncap.job import job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.alignment.training_items import write_teacher_responses
        from aligncap.config import Compute, Lora, Prompts, Teacher
        from aligncap.training.data import training_inputs

        params, files = smk.params, smk.input
        write_teacher_responses(
            Teacher(**params.teacher),
            Lora(**params.lora),
            Prompts(**params.prompts),
            params.seed,
            Compute(**params.compute),
            params.max_new_tokens,
            smk.wildcards.corpus,
            training_inputs(params.corpora, files),
            Path(files.llm),
            *(only(files.teacher_lora), Path(smk.output.responses)),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
