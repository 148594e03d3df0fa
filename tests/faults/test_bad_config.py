"""A bad overlay or ``--config`` gives one line that names the file, the key, the value and the remedy."""

import math
import sys
from pathlib import Path

import pytest

from aligncap.config import AlignCapConfig
from aligncap.errors import ConfigError
from aligncap.systems import load

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "config.yaml"
sys.path.append(str(ROOT / "tools"))


def overlay(folder: Path, text: str | bytes) -> Path:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(*paths: Path, assignments: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        load(DEFAULT, *paths, assignments=assignments)
    told = str(caught.value)
    assert "\n" not in told and len(told) < 600
    return told


def values(*paths: Path, assignments: tuple[str, ...] = ()) -> AlignCapConfig:
    return load(DEFAULT, *paths, assignments=assignments)


BAD_FILES = {
    "a key twice": ("seed: 1\nseed: 2\n", ["line 2: key 'seed' stands on line 1 already", "keep one"]),
    "a nested key twice": (
        "preference:\n  beta: 0.1\n  steps: 5\n  beta: 0.2\n",
        ["line 4: key 'beta' stands on line 2 already"],
    ),
    "a section twice": (
        "lora: {rank: 4}\nseed: 1\nlora: {alpha: 8}\n",
        ["line 3: key 'lora' stands on line 1 already"],
    ),
    "a key twice in braces": ("lora: {rank: 4, rank: 8}\n", ["line 1: key 'rank' stands on line 1 already"]),
    "a key twice, once in quotes": ('seed: 1\n"seed": 2\n', ["line 2: key 'seed' stands on line 1 already"]),
    "a tab": ("lora:\n\trank: 4\n", ["line 2: ", "'\\t'", "indent with blanks, not tabs"]),
    "a tab deeper": ("preference:\n  pairs:\n\t  minimum: 1\n", ["line 3: ", "indent with blanks, not tabs"]),
    "a list": ("- seed: 1\n", ["holds a list, want keys such as `experiment: mine`"]),
    "a text": ("seed 1\n", ["holds a str, want keys"]),
    "a number": ("7\n", ["holds a int, want keys"]),
    "empty": ("", ["holds no key (empty, or comments alone)", "leave the file out"]),
    "comments alone": ("# seed: 1\n", ["holds no key (empty, or comments alone)"]),
    "the word null": ("null\n", ["holds no key"]),
    "two documents": ("seed: 1\n---\nseed: 2\n", ["line 2: ", "another document"]),
    "latin-1": ("experiment: café\n".encode("latin-1"), ["byte 0xe9", "give a text file in UTF-8"]),
    "UTF-16": ("seed: 1\n".encode("utf-16"), ["give a text file in UTF-8"]),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0", ["give a text file in UTF-8"]),
    "a control character": ("seed: \x07\n", ["special characters are not allowed"]),
    "code": ("seed: !!python/object/apply:os.system ['true']\n", ["line 1: could not determine a constructor"]),
    "another tag": ("seed: !mine 1\n", ["line 1: could not determine a constructor", "!mine"]),
    "an anchor that is not there": ("seed: *one\n", ["line 1: found undefined alias 'one'"]),
    "a list as a key": ("? [1, 2]\n: 3\n", ["line 1: found unhashable key"]),
    "endless brackets": ("seed: " + "[" * 5000, ["not a readable YAML file"]),
    "a colon in a text": ("experiment: a: b\n", ["line 1: mapping values are not allowed here"]),
    "quotes that do not end": ('experiment: "a\n', ["found unexpected end of stream"]),
    "a number as a key": ("lora: {1: 2}\n", ["lora.1: ", "Keys should be strings"]),
    "NaN": ("preference: {beta: .nan}\n", ["preference.beta: ", "finite number", "got nan"]),
    "inf": ("preference: {beta: .inf}\n", ["preference.beta: ", "finite number", "got inf"]),
    "minus inf where a key may be null": ("preference: {stop_below: -.inf}\n", ["preference.stop_below: ", "got -inf"]),
    "NaN as text": ("preference: {rpo_alpha: 'nan'}\n", ["preference.rpo_alpha: ", "finite number", "got 'nan'"]),
    "a number too large": ("preference: {learning_rate: 1e999}\n", ["learning_rate: ", "finite number", "got inf"]),
    "NaN in a share": ("splits: {dev: .nan}\n", ["splits.dev: ", "finite number"]),
    "NaN of a system": (
        "systems: {x: {extends: kd, overrides: {alignment: {learning_rate: .nan}}}}\n",
        ["systems.x.overrides: ", "learning_rate: ", "finite number"],
    ),
    "NaN sent to an endpoint": (
        "preference: {judge: {openai: {request: {temperature: .nan}}}}\n",
        ["preference.judge.openai: ", "request is sent as JSON", "finite numbers"],
    ),
    "a section in capitals": ("Preference: {beta: 0.3}\n", ["Preference: unknown key (did you mean preference?)"]),
    "a key in capitals": ("preference: {BETA: 0.3}\n", ["preference.BETA: unknown key (did you mean beta?)"]),
    "camel case": ("preference: {batchSize: 2}\n", ["preference.batchSize: unknown key (did you mean batch_size?)"]),
    "a key of a corpus in capitals": (
        "corpora: {x: {adapter: manifest, ROLE: test, role: test, root: x}}\n",
        ["corpora.x.ROLE: unknown key (did you mean role?)"],
    ),
    "a key like none": ("xyzzy: 1\n", ["xyzzy: unknown key; config.yaml shows all keys"]),
    "a section without keys": ("preference:\nseed: 1\n", ["preference: ", "keys with values below it", "got None"]),
    "a section that is a number": ("lora: 16\n", ["lora: ", "keys with values below it", "got 16"]),
    "a section that is a list": ("lora: [16]\n", ["lora: ", "keys with values below it", "got [16]"]),
    "a number for a text": ("experiment: 2024\n", ["experiment: ", "got 2024", "if it is text, quote it"]),
    "a truth value for a text": ("experiment: true\n", ["experiment: ", "got True", "if it is text, quote it"]),
    "null for a text": ("experiment: null\n", ["experiment: ", "got None"]),
    "a fraction of a step": ("preference: {steps: 2.5}\n", ["preference.steps: ", "got 2.5"]),
    "no thread": ("compute: {threads: 0}\n", ["compute.threads: ", "greater than or equal to 1", "got 0"]),
    "a share of more than all": ("tagger: {threshold: 1.5}\n", ["tagger.threshold: ", "less than or equal to 1"]),
    "a long text for a number": (f"seed: {'x' * 9000}\n", ["seed: ", "valid integer", "..."]),
    "a choice in capitals": ("preference: {loss: DPO}\n", ["preference.loss: ", "got 'DPO' (did you mean dpo?)"]),
    "yes and no": ("tracking: {enabled: maybe}\n", ["tracking.enabled: ", "valid boolean", "got 'maybe'"]),
    "a text for a list": ("features: {layers: first}\n", ["features.layers: ", "got 'first'"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_FILES)
def test_a_bad_overlay_is_named_in_one_line(tmp_path: Path, fault: str) -> None:
    text, expected = BAD_FILES[fault]
    told = refused(overlay(tmp_path, text))
    assert all(part in told for part in expected), told
    assert told.startswith(str(tmp_path / "mine.yaml: ")), "the file at fault, not config.yaml"


def test_a_folder_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        assert str(path) in refused(path)


def test_each_key_is_named_with_the_file_that_gives_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.yaml").write_text("preference: {beta: -1}\nlora: {rank: 0}\n")
    Path("two.yaml").write_text("lora: {rank: 0}\n")
    told = refused(tmp_path / "one.yaml", tmp_path / "two.yaml", assignments=("seed=x",))
    assert "one.yaml: preference.beta: " in told and "two.yaml: lora.rank: " in told and "--config: seed: " in told
    assert str(tmp_path) not in told


BAD_ASSIGNMENTS = {
    "no value": ("seed", ["--config: got 'seed', want key=value"]),
    "no key": ("=1", ["--config: got '=1', want key=value"]),
    "dots": ("preference.beta=0.3", ["write --config 'preference={\"beta\": 0.3}'"]),
    "dots, deeper": ("preference.judge.name=local", ['preference={"judge": {"name": local}}']),
    "braces that do not close": ('preference={"beta": 0.3', ["--config preference: not a readable YAML file"]),
    "a key twice": ('lora={"rank": 4, "rank": 8}', ["--config lora: ", "key 'rank' stands on line 1 already"]),
    "nothing for a number": ("seed=", ["--config: seed: ", "got None"]),
    "NaN": ('preference={"beta": .nan}', ["--config: preference.beta: ", "finite number"]),
    "the text null": ('preference={"stop_below": "null"}', ["--config: preference.stop_below: ", "got 'null'"]),
    "a number for a text": ("experiment=2024", ["--config: experiment: ", "if it is text, quote it"]),
    "another case": ('tagger={"N_folds": 3}', ["--config: tagger.N_folds: unknown key (did you mean n_folds?)"]),
}


@pytest.mark.parametrize("fault", BAD_ASSIGNMENTS)
def test_a_bad_assignment_is_named_in_one_line(fault: str) -> None:
    text, expected = BAD_ASSIGNMENTS[fault]
    told = refused(assignments=(text,))
    assert all(part in told for part in expected), told


def test_null_on_the_command_line_is_null() -> None:
    found = values(
        assignments=(
            'preference={"stop_below": null, "judge": {"openai": {"request": {"max_tokens": null, "temperature": 1}}}}',
            'systems={"aligncap": null}',
        )
    )
    assert found.preference.stop_below is None and "aligncap" not in found.systems
    assert found.preference.judge.openai.request == {"max_tokens": None, "temperature": 1}


@pytest.mark.parametrize("text", ["2024_05", "1_000", "007", "12:30", "2024-05-01", "no", "1e", "0b1"])
def test_a_text_that_is_a_number_to_yaml_1_1_stays_a_text(tmp_path: Path, text: str) -> None:
    given = values(overlay(tmp_path, f"tracking: {{uri: {text}}}\n")).tracking.uri
    assert given == values(assignments=(f'tracking={{"uri": {text}}}',)).tracking.uri == text
    assert values(assignments=('experiment="2024"',)).experiment == "2024"


@pytest.mark.parametrize(
    ("text", "number"), [("5e-4", 5e-4), ("1_0.5", 10.5), (".5", 0.5), ("010", 10), ("+3", 3), ("0x10", 16)]
)
def test_numbers_stay_numbers(tmp_path: Path, text: str, number: float) -> None:
    found = values(overlay(tmp_path, f"preference: {{rpo_alpha: {text}}}\n"))
    assert math.isclose(found.preference.rpo_alpha, number)


def test_norwegian_is_a_language(tmp_path: Path) -> None:
    assert values(overlay(tmp_path, "transcripts: {leave_out: [no, de]}\n")).transcripts.leave_out == ("no", "de")


def test_the_command_reads_as_the_workflow_does(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    import run_pipeline

    path = overlay(tmp_path, "preference: {beta: .nan}\n")
    arguments = ["-n", "--configfile", str(path), "--config", 'preference={"beta": 0.4, "stop_below": null}']
    parsed, asked = run_pipeline.read_arguments(arguments)
    assert asked == arguments
    assert (parsed.preference.beta, parsed.preference.stop_below) == (0.4, None)
    assert run_pipeline.main(arguments[:3]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"{path}: preference.beta: ") and told.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (
            ["-n", "--config", "experiment=mine", "seed=1", "--config", "seed=3", "--", "x"],
            ["-n", "--config", "experiment=mine", "seed=1", "seed=3", "--", "x"],
        ),
        (["--no-audio", "--config=seed=3"], ["--config", "seed=3", 'report={"audio": false}']),
        (["--no-audio", "-j", "2"], ["-j", "2", "--config", 'report={"audio": false}']),
        (["-C", "seed=3", "--until", "report"], ["--until", "report", "--config", "seed=3"]),
        (
            ["--configfile", "experiments/people.yaml", "--configfile=experiments/tables.yaml"],
            ["--configfile", "experiments/people.yaml", "experiments/tables.yaml"],
        ),
    ],
)
def test_options_that_are_given_twice_are_heeded_by_both(given: list[str], asked: list[str]) -> None:
    """Snakemake heeds the last --config only, and would write the results of another experiment."""
    import run_pipeline
    from snakemake.cli import parse_args

    config, told = run_pipeline.read_arguments(given)
    assert told == asked
    _, seen = parse_args(told)
    assert run_pipeline.load("config.yaml", *(seen.configfile or []), assignments=seen.config or []) == config


@pytest.mark.parametrize(
    ("arguments", "nothing"),
    [
        (["-np"], True), (["-pn", "x"], True), (["--list-rules"], True), (["--dry-run"], True),
        (["-j", "2"], False), (["-pk"], False), (["--notemp"], False), (["--until", "report"], False),
    ],
)  # fmt: skip
def test_what_runs_nothing_is_known(arguments: list[str], nothing: bool) -> None:
    import run_pipeline

    assert run_pipeline.runs_nothing(arguments) is nothing
