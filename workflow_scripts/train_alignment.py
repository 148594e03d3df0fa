"""Align speech with text: KD-Regularization, or plain fine-tuning."""

from pathlib import Path

from aligncap.job import by_name, job, only, training_inputs


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.alignment.kd import train_alignment
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.config import Adapter, Alignment, Compute, Lora, Prompts

        params, files = smk.params, smk.input
        settings = (
            Alignment(**params.alignment),
            Adapter(**params.adapter),
            Lora(**params.lora),
            Prompts(**params.prompts),
        )
        inputs = training_inputs(params.corpora, files), by_name(params.corpora, files.teacher_logits)
        weights = Path(files.warm_start), Path(files.tagger), Path(files.llm), only(files.teacher_lora)
        compute, out = Compute(**params.compute), (CheckpointPaths(*map(Path, smk.output)), params.description)
        name = smk.wildcards.system
        train_alignment(name, *settings, params.seed, compute, *inputs, params.temperature, *weights, *out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
