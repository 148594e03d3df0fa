"""Draw the rules of this experiment and what they need of each other."""

from pathlib import Path

from aligncap.job import job


def main(smk):
    """Run with what the rule declares."""
    with job(smk):
        from aligncap.evaluation.rule_graph import draw_rule_graph

        draw_rule_graph(smk.params.command, smk.params.config, Path(smk.output.svg))


if __name__ == "__main__":
    main(snakemake)  # noqa: F821
