"""Align speech with text: KD-Regularization, or a rival."""

from pathlib import Path

from aligncap.job import by_name, job, only


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap import config
        from aligncap.alignment.train import train_alignment
        from aligncap.captioner.checkpoint import CheckpointPaths
        from aligncap.training.data import training_inputs

        params, files = smk.params, smk.input
        adapted = config.Alignment(**params.alignment), config.Adapter(**params.adapter), config.Lora(**params.lora)
        settings = *adapted, config.Prompts(**params.prompts), config.Teacher(**params.teacher)
        logits = by_name(params.corpora, files.teacher_logits)
        inputs = training_inputs(params.corpora, files), logits, by_name(params.corpora, files.teacher_responses)
        weights = only(files.warm_start), Path(files.tagger), Path(files.llm), only(files.teacher_lora)
        compute, out = config.Compute(**params.compute), (CheckpointPaths(*map(Path, smk.output)), params.description)
        train_alignment(smk.wildcards.system, *settings, params.seed, compute, *inputs, *weights, *out)


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
