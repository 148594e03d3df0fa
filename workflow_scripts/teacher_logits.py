"""Cache the distributions of the teacher over every response."""

from pathlib import Path

from aligncap.job import by_name, job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.alignment.teacher import write_teacher_logits
        from aligncap.config import Compute, Lora, Prompts, Teacher
        from aligncap.training.data import training_inputs

        write_teacher_logits(
            Teacher(**smk.params.teacher),
            Lora(**smk.params.lora),
            Prompts(**smk.params.prompts),
            Compute(**smk.params.compute),
            smk.wildcards.corpus,
            training_inputs(smk.params.corpora, smk.input),
            by_name([smk.wildcards.corpus], smk.input.teacher_responses),
            Path(smk.input.llm),
            only(smk.input.teacher_lora),
            Path(smk.output.logits),
        )


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
