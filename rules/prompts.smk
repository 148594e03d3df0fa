"""Clues and prompts: parsed from captions for text input, and predicted from speech for speech input."""


rule parse_clues:
    input:
        references="<results>/corpora/{corpus}/references.parquet",
        transcripts="<results>/transcripts/{corpus}.parquet",
        llm=model("llm"),
    output:
        gold="<results>/clues/{corpus}/gold.parquet",
    log:
        "<logs>/parse_clues/{corpus}.log",
    benchmark:
        "<benchmarks>/parse_clues/{corpus}.tsv"
    conda:
        "../envs/llm.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        prompts=plain(settings.prompts, only={"max_semantic_tokens"}),
        code=digest("parse_clues"),
    script:
        "../workflow_scripts/parse_clues.py"


rule plan_training:
    input:
        audio=of_train("<results>/corpora/{corpus}/audio.parquet"),
        references=of_train("<results>/corpora/{corpus}/references.parquet"),
    output:
        plan="<results>/plan.parquet",
    log:
        "<logs>/plan_training/plan.log",
    benchmark:
        "<benchmarks>/plan_training/plan.tsv"
    conda:
        "../envs/llm.yaml"
    resources:
        mem_mb=more(1000),
        runtime=more(10),
    params:
        corpora=TRAIN,
        splits=plain(settings.splits),
        tagger=plain(settings.tagger, only={"folds", "n_folds"}),
        seed=settings.seed,
        code=digest("plan_training"),
    script:
        "../workflow_scripts/plan_training.py"


rule train_tagger:
    # One thread: two are half as fast on matrices of this size.
    input:
        plan="<results>/plan.parquet",
        features=of_train("<results>/features/{corpus}.parquet"),
        audio=of_train("<results>/corpora/{corpus}/audio.parquet"),
        references=of_train("<results>/corpora/{corpus}/references.parquet"),
        prosody=of_train("<results>/corpora/{corpus}/prosody.parquet"),
        timbre=of_train("<results>/corpora/{corpus}/timbre.parquet"),
        heard_features=of_unlabelled("<results>/features/{corpus}.parquet"),
        heard_audio=of_unlabelled("<results>/corpora/{corpus}/audio.parquet"),
        heard_prosody=of_unlabelled("<results>/corpora/{corpus}/prosody.parquet"),
        heard_timbre=of_unlabelled("<results>/corpora/{corpus}/timbre.parquet"),
    output:
        weights="<results>/tagger/tagger.safetensors",
        predictions="<results>/tagger/out_of_fold.parquet",
        others="<results>/tagger/other_folds.parquet",
    log:
        "<logs>/train_tagger/tagger.log",
    benchmark:
        "<benchmarks>/train_tagger/tagger.tsv"
    conda:
        "../envs/llm.yaml"
    resources:
        mem_mb=more(4000),
        runtime=more(60),
    params:
        corpora=TRAIN,
        unlabelled=UNLABELLED,
        tagger=plain(settings.tagger, without={"threshold", "text_clue", "text_weight"}),
        seed=settings.seed,
        code=digest("train_tagger"),
    script:
        "../workflow_scripts/train_tagger.py"


rule predict_clues:
    input:
        weights="<results>/tagger/tagger.safetensors",
        features="<results>/features/{corpus}.parquet",
        prosody="<results>/corpora/{corpus}/prosody.parquet",
        audio="<results>/corpora/{corpus}/audio.parquet",
        transcripts="<results>/transcripts/{corpus}.parquet",
        out_of_fold=lambda w: ["<results>/tagger/out_of_fold.parquet"] if w.corpus in TRAIN else [],
        llm=model("llm"),
        encoder=text_clue_encoder(),
    output:
        predicted="<results>/clues/{corpus}/predicted.parquet",
    log:
        "<logs>/predict_clues/{corpus}.log",
    benchmark:
        "<benchmarks>/predict_clues/{corpus}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        mem_mb=more(3000),
        runtime=more(30),
    params:
        tagger=plain(settings.tagger),
        prompts=plain(settings.prompts, only={"max_semantic_tokens"}),
        role=lambda w: settings.corpora[w.corpus].role,
        compute=plain(settings.compute),
        code=digest("predict_clues"),
    script:
        "../workflow_scripts/predict_clues.py"


rule tagger_table:
    # Scoring: it reads what people said of the test corpora.
    input:
        predictions=["<results>/tagger/out_of_fold.parquet", "<results>/tagger/other_folds.parquet"],
        weights="<results>/tagger/tagger.safetensors",
        references=of_all("<results>/corpora/{corpus}/references.parquet"),
        prosody=of_all("<results>/corpora/{corpus}/prosody.parquet"),
        timbre=of_all("<results>/corpora/{corpus}/timbre.parquet"),
        audio=of_all("<results>/corpora/{corpus}/audio.parquet"),
        transcripts=of_all("<results>/transcripts/{corpus}.parquet"),
        features=of_test("<results>/features/{corpus}.parquet"),
        encoder=text_clue_encoder(),
    output:
        table="<results>/tables/tagger.parquet",
        bins="<results>/tables/tagger_reliability.parquet",
        md="<results>/tables/tagger.md",
    log:
        "<logs>/tagger_table/tagger.log",
    benchmark:
        "<benchmarks>/tagger_table/tagger.tsv"
    conda:
        "../envs/evaluation.yaml"
    threads: THREADS
    resources:
        mem_mb=more(3000),
        runtime=more(30),
    params:
        corpora=[*TRAIN, *TEST],
        test=TEST,
        tagger=plain(settings.tagger),
        evaluation=plain(settings.evaluation, only={"bootstrap", "seed"}),
        compute=plain(settings.compute),
        code=digest("tagger_table"),
    script:
        "../workflow_scripts/tagger_table.py"
