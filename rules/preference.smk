"""Preference optimisation: candidates, scores, pairs, reference log-probabilities, and stage `preference`."""


rule candidates:
    input:
        **INPUTS,
        parent=lambda w: checkpoint_of(parent_of(CANDIDATES[w.candidates])),
        llm=model("llm"),
    output:
        candidates=part_of("<results>/candidates/{candidates}.parquet"),
    log:
        in_part("<logs>/candidates/{candidates}.log"),
    benchmark:
        in_part("<benchmarks>/candidates/{candidates}.tsv")
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(3000),
        runtime=more(720),
    params:
        corpora=TRAIN,
        candidates=lambda w: candidate_settings(EFFECTIVE[CANDIDATES[w.candidates]].preference.candidates),
        seed=lambda w: EFFECTIVE[parent_of(CANDIDATES[w.candidates])].seed,
        max_new_tokens=settings.decoding.max_new_tokens,
        compute=plain(settings.compute),
        code=digest("candidates"),
    script:
        "../workflow_scripts/candidates.py"


rule judge_scores:
    input:
        candidates=lambda w: candidates_of(w.pairs),
        references=of_train("<results>/corpora/{corpus}/references.parquet"),
        gold=of_train("<results>/clues/{corpus}/gold.parquet"),
        transcripts=of_train("<results>/transcripts/{corpus}.parquet"),
        prosody=of_train("<results>/corpora/{corpus}/prosody.parquet"),
        model=lambda w: judge_model(judge_of(w.pairs, w.judge)),
        answers=lambda w: judge_answers(judge_of(w.pairs, w.judge)),
    output:
        scores=part_of("<results>/judge_scores/{pairs}/{judge}.parquet"),
    log:
        in_part("<logs>/judge_scores/{pairs}/{judge}.log"),
    benchmark:
        in_part("<benchmarks>/judge_scores/{pairs}/{judge}.tsv")
    wildcard_constraints:
        judge=one_of(get_args(JudgeName)),
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=lambda w: gpu_of(judge_of(w.pairs, w.judge))(w),
        mem_mb=more(3000),
        runtime=more(720),
    params:
        corpora=TRAIN,
        judge=lambda w: plain(judge_of(w.pairs, w.judge), only=keys_of_judge(judge_of(w.pairs, w.judge))),
        compute=plain(settings.compute),
        code=digest("judge_scores"),
    script:
        "../workflow_scripts/judge_scores.py"


rule preference_pairs:
    input:
        candidates=lambda w: candidates_of(w.pairs),
        scores=lambda w: f"<results>/judge_scores/{w.pairs}/{judge_of(w.pairs).name}.parquet",
        gold=of_train("<results>/clues/{corpus}/gold.parquet"),
        references=of_train("<results>/corpora/{corpus}/references.parquet"),
        transcripts=of_train("<results>/transcripts/{corpus}.parquet"),
        prosody=of_train("<results>/corpora/{corpus}/prosody.parquet"),
        plan="<results>/plan.parquet",
        llm=model("llm"),
    output:
        pairs="<results>/preference_pairs/{pairs}.parquet",
    log:
        "<logs>/preference_pairs/{pairs}.log",
    benchmark:
        "<benchmarks>/preference_pairs/{pairs}.tsv"
    conda:
        "../envs/llm.yaml"
    resources:
        mem_mb=more(1500),
        runtime=more(30),
    params:
        corpora=TRAIN,
        pairs=lambda w: plain(EFFECTIVE[PAIRS[w.pairs]].preference.pairs),
        seed=lambda w: EFFECTIVE[parent_of(PAIRS[w.pairs])].seed,
        max_new_tokens=settings.decoding.max_new_tokens,
        code=digest("preference_pairs"),
    script:
        "../workflow_scripts/preference_pairs.py"


rule reference_logps:
    input:
        **INPUTS,
        parent=lambda w: checkpoint_of(parent_of(PAIRS[w.pairs])),
        llm=model("llm"),
        pairs="<results>/preference_pairs/{pairs}.parquet",
    output:
        logps="<results>/reference_logps/{pairs}.parquet",
    log:
        "<logs>/reference_logps/{pairs}.log",
    benchmark:
        "<benchmarks>/reference_logps/{pairs}.tsv"
    conda:
        "../envs/llm.yaml"
    threads: THREADS
    resources:
        gpu=gpus(1),
        mem_mb=more(3000),
        runtime=more(240),
    params:
        corpora=TRAIN,
        compute=plain(settings.compute),
        code=digest("reference_logps"),
    script:
        "../workflow_scripts/reference_logps.py"


rule train_preference:
    input:
        **INPUTS,
        parent=lambda w: checkpoint_of(parent_of(w.system)),
        llm=model("llm"),
        pairs=lambda w: f"<results>/preference_pairs/{pairs_name(settings, w.system)}.parquet",
        reference_logps=lambda w: f"<results>/reference_logps/{pairs_name(settings, w.system)}.parquet",
        launch=LAUNCH_FILES,
    output:
        **named_checkpoint(),
    log:
        "<logs>/train_preference/{system}.log",
    benchmark:
        "<benchmarks>/train_preference/{system}.tsv"
    wildcard_constraints:
        system=one_of(of_stage("preference")),
    conda:
        "../envs/llm.yaml"
    threads: THREADS * PROCESSES
    resources:
        gpu=gpus(PROCESSES),
        mem_mb=more(4000 * PROCESSES),
        runtime=more(1440),
    params:
        corpora=TRAIN,
        training=lambda w: plain(EFFECTIVE[w.system].preference, without={"candidates", "judge", "pairs"}),
        seed=lambda w: EFFECTIVE[w.system].seed,
        compute=plain(settings.compute),
        launch=LAUNCH,
        code=digest("train_preference"),
    script:
        "../workflow_scripts/train_preference.py"
