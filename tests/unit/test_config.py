import difflib
from pathlib import Path
from typing import get_args

import pytest
import yaml
from stacks import NAMES, STACKS, configfiles

from aligncap import config
from aligncap.config import AlignCapConfig, writing
from aligncap.errors import ConfigError
from aligncap.systems import (
    corpus_names,
    judge_named,
    keys_of_judge,
    load,
    merge,
    parse,
    resolve_system,
)

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "config.yaml"


def default(**changes) -> dict:
    return merge(yaml.safe_load(DEFAULT.read_text(encoding="utf-8")), changes)


def systems(**added) -> AlignCapConfig:
    return parse(default(systems=added))


@pytest.mark.parametrize("stack", STACKS, ids=NAMES)
def test_every_stack_that_is_run_parses(stack):
    parsed = load(DEFAULT, *(ROOT / path for path in configfiles(stack)))
    assert corpus_names(parsed, "train") and corpus_names(parsed, "test")
    for system in parsed.systems:
        assert isinstance(resolve_system(parsed, system), AlignCapConfig)


def test_no_revision_of_the_7b_set_up_is_made_up():
    parsed = load(DEFAULT, ROOT / "experiments/paper.yaml")
    addresses = [
        uri for role in ("llm", "speech_encoder", "asr", "judge") for uri in getattr(parsed.models, role).files
    ]
    assert len(addresses) == 4 and {uri.partition("@")[2] for uri in addresses} == {"<commit>"}
    assert parsed.corpora["hub"].root == "hf://org/name@<commit>"


def test_the_default_shows_every_key():
    """config.yaml is the manual: a key that it does not show is not found by a reader."""

    def undocumented(section: type, shown: dict, where: str) -> list[str]:
        missing = []
        for name, field in section.model_fields.items():
            if name not in shown:
                missing.append(f"{where}{name}")
            elif isinstance(field.annotation, type) and issubclass(field.annotation, config.Section):
                missing += undocumented(field.annotation, shown[name], f"{where}{name}.")
        return missing

    assert undocumented(AlignCapConfig, default(), "") == []


@pytest.mark.parametrize("name", [writing.CONFIG, writing.SCHEMA])
def test_what_is_written_from_the_models_is_up_to_date(name):
    written = writing.config_yaml() if name == writing.CONFIG else writing.config_schema()
    there = (ROOT / name).read_text(encoding="utf-8")
    drift = "\n".join(
        difflib.unified_diff(there.splitlines(), written.splitlines(), name, "aligncap/config", lineterm="")
    )
    assert there == written, f"{name} differs from the models; run `make config`\n{drift}"


def test_the_embedded_default_is_the_models_own():
    assert load(DEFAULT) == parse({}) == AlignCapConfig()
    assert max(map(len, DEFAULT.read_text(encoding="utf-8").splitlines())) <= writing.WIDTH


def test_every_key_says_what_it_means():
    def silent(section: type, where: str) -> list[str]:
        found = []
        for name, field in section.model_fields.items():
            inner = sections_of(field.annotation)
            if not field.description and not inner:
                found.append(f"{where}{name}")
            for kind in inner:
                found += silent(kind, f"{where}{name}.")
        return found

    def sections_of(annotation) -> list[type]:
        if isinstance(annotation, type) and issubclass(annotation, config.Section):
            return [annotation]
        return [kind for part in get_args(annotation) for kind in sections_of(part)]

    assert silent(AlignCapConfig, "") == []


def test_the_schema_takes_an_overlay():
    schema = yaml.safe_load((ROOT / writing.SCHEMA).read_text(encoding="utf-8"))
    assert schema["additionalProperties"] is False and "required" not in schema
    (entry,) = schema["properties"]["systems"]["patternProperties"].values()
    assert {"type": "null"} in entry["anyOf"], "null drops a system"
    assert not any("required" in part for part in schema["$defs"].values())


def corpora(part: dict | None, other: dict | None) -> dict:
    common = {"adapter": "manifest", "root": "m.csv"}
    return {"mine": {**common, "role": "train", "part": part}, "held": {**common, "role": "test", "part": other}}


def test_both_sides_of_a_corpus_are_told_apart():
    rest = {"side": "rest", "share": 0.3}
    assert parse(default(corpora=corpora(rest, {"side": "held_out", "share": 0.3}))).corpora["held"].part.seed == 0
    for other in (None, rest, {"side": "held_out", "share": 0.2}):
        with pytest.raises(ConfigError, match=r"corpora\.held: trains \(mine\) and tests on the same m\.csv"):
            parse(default(corpora=corpora(rest, other)))


def test_a_root_is_the_same_however_it_is_written(tmp_path):
    def both(one: str, other: str, adapter: str = "meld") -> dict:
        common = {"emosec": None, "synthetic_en": None, "synthetic_de": None}
        return common | {
            "a": {"adapter": "meld", "role": "train", "root": one},
            "b": {"adapter": adapter, "role": "test", "root": other},
        }

    (tmp_path / "link").symlink_to(tmp_path / "meld")
    there = f"{tmp_path}/meld"
    for other in (f"{tmp_path}/./meld", f"{tmp_path}/link", f"{there}/test_sent_emo.csv"):
        for pair in ((there, other), (other, there)):
            with pytest.raises(ConfigError, match=r"corpora\.b: trains \(a\) and tests on the same"):
                parse(default(corpora=both(*pair)))
    assert parse(default(corpora=both(f"{there}/train_sent_emo.csv", f"{there}/test_sent_emo.csv")))
    assert parse(default(corpora=both(there, f"{there}/others", "esd"))), "another corpus, kept within"


def test_unlabelled_audio_is_not_what_is_tested():
    both = corpora(None, None)
    both["mine"]["role"] = "unlabelled"
    with pytest.raises(ConfigError, match=r"corpora\.held: trains \(mine\) and tests on the same m\.csv"):
        parse(default(corpora=both))


def test_published_splits_of_a_data_set_share_no_clip():
    common = {"adapter": "huggingface", "root": "hf://org/name@0"}

    def both(one: str | None, other: str | None) -> dict:
        return {"a": {**common, "role": "train", "split": one}, "b": {**common, "role": "test", "split": other}}

    assert parse(default(corpora=both("train[:100]", "test"))).corpora["b"].split == "test"
    for one, other in ((None, "test"), ("train", "train[100:]"), ("train+test", "test")):
        with pytest.raises(ConfigError, match=r"corpora\.b: trains \(a\) and tests on the same hf://org/name@0"):
            parse(default(corpora=both(one, other)))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"preference": {"bta": 0.3}}, r"preference\.bta: unknown key \(did you mean beta\?\)"),
        ({"preferense": {}}, r"preferense: unknown key \(did you mean preference\?\)"),
        ({"preference": {"beta": "much"}}, r"preference\.beta: .*got 'much'"),
        ({"preference": {"beta": 0}}, r"preference\.beta: .*greater than 0.*got 0"),
        ({"splits": {"dev": 0.9}}, "leave no speaker for alignment"),
        ({"features": {"layers": [-1]}}, r"features\.layers\.0: .*greater than or equal to 0.*got -1"),
        ({"features": {"layers": []}}, r"features\.layers: .*at least 1"),
        ({"seed": -1}, r"seed: .*greater than or equal to 0.*got -1"),
        ({"evaluation": {"seed": 2**32}}, r"evaluation\.seed: .*less than 4294967296"),
        ({"lora": {"dropout": 1}}, r"lora\.dropout: .*less than 1"),
        ({"lora": {"targets": []}}, r"lora\.targets.*: .*at least 1"),
        ({"figures": {"drop": ["sft", "sft"]}}, r"figures\.drop: .*'sft' is there twice; name it once"),
        ({"tables": {"table2": {"systems": ["kd", "kd"]}}}, r"tables\.table2\.systems: .*'kd' is there twice"),
        ({"tables": {"claims": [["kd", "sft"], ["kd", "sft"]]}}, r"tables\.claims: .*is there twice"),
        ({"figures": {"representations": {"utterances": 1}}}, r"utterances: .*greater than or equal to 2"),
        ({"systems": {"kd": {"seeds": [1], "overrides": {"seed": [1]}}}}, r"systems\.kd\.overrides.*seed: "),
        ({"splits": {"dev": 0}}, r"splits\.dev: .*greater than 0"),
        ({"splits": {"adapt": 0}}, r"splits\.adapt: 0 leaves the teacher nothing"),
        ({"splits": {"adapt": 0, "preference": 0}, "teacher": {"adapt": False}}, r"no utterance is left to sample"),
        ({"experiment": "../up"}, "experiment: "),
        ({"corpora": {"synthetic_de": {"role": "train"}}}, "none has role 'test'"),
        ({"corpora": {"synthetic_de": {"language": "ger"}}}, r"synthetic_de\.language: 'ger' is no ISO 639-1 code"),
        ({"transcripts": {"compute_type": "int4"}}, r"transcripts\.compute_type: .*'float32'.*got 'int4'"),
        (
            {"transcripts": {"compute_type": "int8"}, "models": {"asr": {"format": "transformers"}}},
            r"compute_type: int8 needs weights of CTranslate2",
        ),
        ({"corpora": {"synthetic_de": {"clips": None}}}, "needs clips, voices, style and language"),
        ({"preference": {"judge": {"similarity_weight": 0.9}}}, "must add up to 1"),
        ({"preference": {"judge": {"name": "openai"}}}, r"needs preference\.judge\.openai\.model"),
        ({"preference": {"judge": {"name": "human"}}}, r"needs preference\.judge\.human\.answers"),
        ({"judging": {"captions": "openai"}}, r"judging: .*needs preference\.judge\.openai\.model"),
        ({"judging": {"compared": ["reference", "human"]}}, r"judging: .*needs preference\.judge\.human\.answers"),
        ({"judging": {"compared": ["local"]}}, "two or more different judges"),
        ({"judging": {"compared": ["local", "local"]}}, "two or more different judges"),
        ({"preference": {"judge": {"openai": {"base_url": "ftp://x"}}}}, "base_url is http"),
        (
            {"systems": {"x": {"stage": "preference"}}},
            r"systems\.x\.parent: must name a system of stage 'alignment' or",
        ),
        (
            {"systems": {"x": {"stage": "preference", "parent": "constant"}}},
            r"systems\.x\.parent: must name .*'constant'",
        ),
        ({"preference": {"loss": "simpo", "label_smoothing": 0.1}}, "label_smoothing is of loss dpo"),
        ({"preference": {"pairs": {"factuality": {"share": 0.9}}}}, "shares .* must add up to 1"),
        ({"systems": {"x": {"extends": "nothing"}}}, r"systems\.x\.extends: no such system"),
        ({"systems": {"x": {"overrides": {}}}}, r"systems\.x\.stage: missing"),
        ({"systems": {"x": {"stage": "alignment", "parent": "kd"}}}, r"systems\.x\.parent: only a system"),
        ({"systems": {"x": {"extends": "kd", "overrides": {"seeed": 1}}}}, r"systems\.x\.overrides\.seeed: fixed"),
        ({"systems": {"x": {"extends": "kd", "overrides": {"adapter": {"widht": 1}}}}}, r"widht: unknown key .*width"),
        ({"systems": {"x": {"extends": "kd", "overrides": {"teacher": {"adapt": False}}}}}, "same adapted LLM_0"),
        (
            {"systems": {"x": {"extends": "kd", "overrides": {"teacher": {"descriptions": ["x.csv"]}}}}},
            r"overrides\.teacher\.descriptions: .*same adapted LLM_0",
        ),
        (
            {"systems": {"x": {"extends": "kd", "overrides": {"prompts": {"max_semantic_tokens": 8}}}}},
            r"overrides\.prompts\.max_semantic_tokens: P_sem is cut once",
        ),
        ({"systems": {"x": {"extends": "kd", "overrides": {"teacher": None}}}}, r"systems\.x\.overrides.*teacher: "),
        ({"systems": {"x": {"extends": "kd", "overrides": {"teacher": 3}}}}, r"systems\.x\.overrides.*teacher: "),
        ({"systems": {"base": {"extends": "kd"}}}, r"systems\.base: .*give the system another"),
        ({"systems": {"x": {"extends": "kd", "overrides": {"lora": {"rank": 1}}}}}, r"overrides\.lora: fixed"),
        ({"systems": {"x": {"extends": "aligncap", "overrides": {"alignment": {}}}}}, r"overrides\.alignment: fixed"),
        ({"systems": {"constant": {"seeds": [1]}}}, r"systems\.constant\.seeds: only a trained system"),
        ({"systems": {"kd": {"seeds": [1, 0]}}}, r"systems\.kd\.seeds: .*its own seed 0 has one twice"),
        ({"systems": {"aligncap": {"seeds": [1]}}}, r"systems\.aligncap\.seeds: .*add 1 to systems\.kd\.seeds"),
        ({"systems": {"x": {"stage": "external"}}}, r"systems\.x\.captions: given exactly when"),
        ({"systems": {"x": {"stage": "external", "captions": {"y": "f"}}}}, "'y' is not a test corpus"),
        (
            {"corpora": {"x": {"adapter": "CREMA-D", "role": "test", "root": "x"}}},
            r"corpora\.x\.adapter: .*got 'CREMA-D' \(did you mean crema_d\?\)",
        ),
        (
            {"corpora": {"x": {"adapter": "hugingface", "role": "test", "root": "x"}}},
            r"got 'hugingface' \(did you mean huggingface\?\)",
        ),
        (
            {"corpora": {"x": {"adapter": "tess", "role": "test", "root": "x", "columns": {"speaker": "s"}}}},
            "columns: adapter 'tess' knows its own",
        ),
        (
            {"corpora": {"x": {"adapter": "meld", "role": "test", "root": "x", "split": "train"}}},
            "split is of adapter 'huggingface'",
        ),
    ],
)
def test_mistakes_are_named_in_one_line(changes, told):
    with pytest.raises(ConfigError, match=told) as caught:
        parse(default(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "section",
    [
        {"key_variable": "sk-secret-0123"},
        {"api_key": "sk-secret-0123"},
        {"base_url": "https://me:sk-secret-0123@host/v1"},
        {"base_url": "https://host/v1?key=sk-secret-0123"},
    ],
)
def test_a_key_in_the_config_is_refused_and_not_repeated(section):
    with pytest.raises(ConfigError, match=r"preference\.judge\.openai") as caught:
        parse(default(preference={"judge": {"openai": section}}))
    assert "secret" not in str(caught.value)


def test_a_judge_depends_on_its_own_settings_only():
    judge = parse(default(preference={"judge": {"openai": {"model": "m"}, "human": {"answers": "a.csv"}}}))
    keys = {
        name: keys_of_judge(judge_named(judge.preference.judge, name))
        for name in ("reference", "local", "openai", "human")
    }
    shared = {"name", "similarity_weight", "factuality_weight", "faithfulness_weight"}
    assert keys["reference"] == shared
    assert all(keys[name] == shared | {name} for name in ("local", "openai", "human"))


def test_a_circle_of_extends_is_refused():
    with pytest.raises(ConfigError, match="a circle"):
        systems(x={"extends": "y"}, y={"extends": "x"})


def test_unreadable_yaml_names_the_file(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1")
    for path in (bad, tmp_path / "none.yaml"):
        with pytest.raises(ConfigError, match=path.name) as caught:
            load(path)
        assert "\n" not in str(caught.value)


def test_values_of_the_command_line_arrive_as_text_and_become_numbers():
    parsed = parse(default(preference={"beta": "0.3"}, seed="7"))  # trap 4
    assert (parsed.preference.beta, parsed.seed) == (0.3, 7)


def test_null_drops_a_system_or_a_corpus():
    raw = default(systems={"aligncap": None}, corpora={"more": None})
    assert "aligncap" not in parse(raw).systems


def test_merge_goes_deep_and_changes_neither_side():
    base, overlay = {"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}
    assert merge(base, overlay) == {"a": {"b": 1, "c": [2]}}
    assert (base, overlay) == ({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}})


def test_json_schema_is_closed_and_describes():
    schema = AlignCapConfig.model_json_schema()
    assert schema["additionalProperties"] is False
    assert all(part.get("additionalProperties") is False for part in schema["$defs"].values())
    assert "beta" in schema["$defs"]["Preference"]["properties"]


def test_the_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        parse(default()).seed = 1
