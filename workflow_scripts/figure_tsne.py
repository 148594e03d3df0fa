"""Draw figure 3: t-SNE of speech and text input in the LLM."""

from aligncap.job import job


def main(smk):
    """Run the stage of this rule."""
    with job(smk) as given:
        from aligncap.config import Evaluation, Figures
        from aligncap.evaluation.figures.tsne import TsneFiles, draw_tsne

        figures, evaluation = Figures(**smk.params.figures), Evaluation(**smk.params.evaluation)
        draw_tsne(figures, evaluation, given.by("systems", smk.input.vectors), given.outputs(TsneFiles))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
