"""Stages whose artifact is made in parts, by `shards` jobs (`part_of` of a rule's output), and gathered by one more."""

SHARDED = [
    *(f"{artifact}/(?:{one_of(settings.corpora)})" for artifact in ("features", "transcripts")),
    f"teacher_logits/(?:{one_of(TEACHER)})/(?:{one_of(TRAIN)})",
    f"candidates/(?:{one_of(CANDIDATES)})",
    f"judge_scores/(?:{one_of(PAIRS)})/(?:{one_of(get_args(JudgeName))})",
    f"captions/(?:{one_of(of_stage('alignment', 'preference'))})/(?:{one_of(TEST)})",
]


if settings.shards > 1:

    scattergather:
        shards=settings.shards,

    rule gather_shards:
        # It holds a few groups of rows at a time, so its memory does not grow with the corpus.
        input:
            parts=gather.shards("<results>/parts/{{artifact}}/{scatteritem}.parquet"),
        output:
            artifact="<results>/{artifact}.parquet",
        log:
            "<logs>/gather_shards/{artifact}.log",
        benchmark:
            "<benchmarks>/gather_shards/{artifact}.tsv"
        wildcard_constraints:
            artifact="|".join(SHARDED),
        conda:
            "../envs/speech.yaml"
        resources:
            mem_mb=more(1500),
            runtime=more(60),
        params:
            code=digest("gather_shards"),
        script:
            "../workflow_scripts/gather_shards.py"
