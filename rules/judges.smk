"""Further judges besides the one that makes the pairs: judgement of test captions, and agreement of judges."""

CAPTION_JUDGE = judge_named(settings.preference.judge, settings.judging.captions)
JUDGED = contents.judged(settings)
# Judges are compared on one set of candidates: that of the first preference system.
AGREED_ON = next(iter(PAIRS), None)  # none in an experiment without preference optimisation


rule judge_captions:
    input:
        references="<results>/corpora/{corpus}/references.parquet",
        gold="<results>/clues/{corpus}/gold.parquet",
        transcripts="<results>/transcripts/{corpus}.parquet",
        prosody="<results>/corpora/{corpus}/prosody.parquet",
        captions=[f"<results>/captions/{system}/{{corpus}}.parquet" for system in JUDGED],
        model=judge_model(CAPTION_JUDGE),
        answers=judge_answers(CAPTION_JUDGE),
    output:
        judged=[f"<results>/judged/{system}/{{corpus}}.parquet" for system in JUDGED],
    log:
        "<logs>/judge_captions/{corpus}.log",
    benchmark:
        "<benchmarks>/judge_captions/{corpus}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpu_of(CAPTION_JUDGE),
        mem_mb=more(3000),
        runtime=more(720),
    params:
        systems=JUDGED,
        judge=plain(CAPTION_JUDGE, only=keys_of_judge(CAPTION_JUDGE)),
        compute=plain(settings.compute),
        code=digest("judge_captions"),
    script:
        "../workflow_scripts/judge_captions.py"


rule judge_agreement:
    input:
        candidates=candidates_of(AGREED_ON) if AGREED_ON else [],
        scores=[f"<results>/judge_scores/{AGREED_ON}/{judge}.parquet" for judge in settings.judging.compared],
    output:
        table="<results>/tables/judge_agreement.parquet",
        md="<results>/tables/judge_agreement.md",
    log:
        "<logs>/judge_agreement/judge_agreement.log",
    benchmark:
        "<benchmarks>/judge_agreement/judge_agreement.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        judges=list(settings.judging.compared),
        margin=settings.judging.margin,
        evaluation=plain(settings.evaluation, only={"bootstrap", "seed"}),
        code=digest("judge_agreement"),
    script:
        "../workflow_scripts/judge_agreement.py"
