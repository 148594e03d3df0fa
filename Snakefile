"""AlignCap: from speech corpora to a table of captioners. `snakemake -j 8`, with overlays as `--configfile`."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "rules/common.smk"
include: "rules/models.smk"
include: "rules/corpora.smk"
include: "rules/prompts.smk"
include: "rules/alignment.smk"
include: "rules/preference.smk"
include: "rules/evaluation.smk"
include: "rules/judges.smk"
include: "rules/shards.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
include: "rules/gaps.smk"


rule all:
    default_target: True
    input:
        targets(),
        gaps,
