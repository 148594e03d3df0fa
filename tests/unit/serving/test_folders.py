"""Many files: which, and a table that survives whatever happens to the run."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from aligncap.errors import ArtifactError, AudioError
from aligncap.serving.folders import CaptionTable, arrivals, by_length, extensions, find_files, read_captions
from aligncap.vocabulary import Clue


def row(path: Path, caption: str = "Sounds sad.", model: str = "e/kd@1") -> dict:
    clue = dict(kind="emotion", word="sad", lemma="sad", intensity="normal", negated=False, probability=0.5)
    return {
        "path": str(path),
        "caption": caption,
        "clues": [clue],
        "transcript": 'Said, "so".\nAnd on.',
        "duration_s": 1.25,
        "finished": True,
        "familiarity": 0.5,
        "warnings": ['unlike, "very"'],
        "model": model,
    }


def test_files_folders_patterns_and_a_list_name_files(folder):
    names = {path.name for path in find_files([str(folder)])[0]}
    assert names == {"a.wav", "b.wav", "c.wav", "d.WAV", "e.wav"}
    assert find_files([str(folder)])[1] == {".txt": 1}
    assert [p.name for p in find_files([f"{folder}/**/*.wav"])[0]] == ["a.wav", "b.wav", "e.wav", "c.wav"]
    assert find_files(["-", "x.wav"], "one.wav\n\ntwo words.wav\n")[0] == [
        *map(Path, ("one.wav", "two words.wav", "x.wav"))
    ]
    assert find_files(["-"], "a\nb.wav\0c.wav\0")[0] == [Path("a\nb.wav"), Path("c.wav")]
    with pytest.raises(AudioError, match="holds no audio file; name"):
        find_files([f"{folder}/*.flac"])


def test_files_that_are_passed_over_are_told_by_extension(tmp_path):
    for name in ("a.wav", "a.TXT", "more/b.txt", "c.docx", "LICENSE"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files, passed = find_files([str(tmp_path)])
    assert [path.name for path in files] == ["a.wav"]
    assert extensions(passed) == "2 .txt, 1 without an extension, 1 .docx"
    (tmp_path / "a.wav").unlink()
    with pytest.raises(AudioError, match="holds no audio file but 2 .txt, 1 without an extension, 1 .docx; name"):
        find_files([str(tmp_path)])


def test_many_kinds_of_other_files_are_told_shortly(tmp_path):
    for n in range(100):
        (tmp_path / f"{n}.kind{n:02}").touch()
    assert extensions(find_files_beside(tmp_path)) == ", ".join([*(f"1 .kind{n:02}" for n in range(6)), "94 others"])


def test_what_is_hidden_is_not_searched_and_an_empty_path_is_not_this_folder(tmp_path, monkeypatch):
    for name in ("a.wav", "b/c.wav", "._a.wav", ".venv/d.wav", "b/.git/e.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in find_files(["."])[0]] == ["a.wav", "b/c.wav"]
    assert find_files([".venv", "._a.wav"])[0] == [Path(".venv/d.wav"), Path("._a.wav")]  # but it can be named
    with pytest.raises(AudioError, match="'': an empty path, perhaps of an unset variable; name a file"):
        find_files(["a.wav", ""])


def find_files_beside(folder: Path) -> Counter[str]:
    """The other files that a folder with one recording holds."""
    (folder / "a.wav").touch()
    return find_files([str(folder)])[1]


def test_a_file_comes_once_it_has_stopped_growing_and_again_when_it_changed(tmp_path, monkeypatch):
    def grow(name: str, size: int) -> None:
        with (tmp_path / name).open("ab") as stream:
            stream.write(b"0" * size)

    steps = iter(
        [
            lambda: grow("late.wav", 5),
            lambda: grow("late.wav", 5),
            lambda: grow("notes.txt", 5),
            lambda: None,
            lambda: grow("b.wav", 7),
            lambda: (tmp_path / "a.wav").unlink(),
        ]
    )
    monkeypatch.setattr("aligncap.serving.folders.time.sleep", lambda seconds: next(steps)())
    grow("a.wav", 3)
    grow("b.wav", 3)
    come = arrivals(tmp_path)
    names = [[path.name for path in next(come)] for _ in range(3)]
    assert names == [["a.wav", "b.wav"], ["late.wav"], ["b.wav"]]
    with pytest.raises(AudioError, match="no such folder"):
        next(arrivals(tmp_path / "nowhere"))


def test_shortest_first(folder):
    files = find_files([str(folder)])[0]
    assert [path.name for path in by_length(files)] == ["e.wav", "a.wav", "c.wav", "b.wav", "d.WAV"]
    sides = [Path(f"{path}#left") for path in files]
    assert [path.name[0] for path in by_length(sides)] == ["e", "a", "c", "b", "d"]


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.parquet"])
def test_a_table_is_continued_in_the_order_of_the_files(tmp_path, name):
    files = [tmp_path / f"{letter}.wav" for letter in "abc"]
    style = {"jsonl": "json"}.get(name.split(".")[1], name.split(".")[1])
    with CaptionTable(tmp_path / name, style, "e/kd@1") as table:
        assert table.missing(files) == files
        table.append([row(files[2]), row(files[0])])
    first = read_captions(tmp_path / name, style)
    assert [Path(own["path"]).name for own in first] == ["a.wav", "c.wav"]
    assert first[0] == row(files[0])
    with CaptionTable(tmp_path / name, style, "e/kd@1") as table:
        assert table.missing(files) == [files[1]]
        table.append([row(files[1], "Sounds angry.")])
    assert [own["caption"] for own in read_captions(tmp_path / name, style)] == [
        "Sounds sad.",
        "Sounds angry.",
        "Sounds sad.",
    ]
    assert sorted(os.listdir(tmp_path)) == [name], "a journal was left"


def test_a_relative_path_leads_to_its_file_from_wherever_the_table_is_continued(tmp_path, monkeypatch):
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
    monkeypatch.chdir(tmp_path / "day1")
    with CaptionTable(Path("../t.jsonl"), "json", "e/kd@1") as table:
        table.append([row(Path("001.wav"))])
    monkeypatch.chdir(tmp_path / "day2")
    with CaptionTable(Path("../t.jsonl"), "json", "e/kd@1") as table:
        assert table.missing([Path("001.wav")]) == [Path("001.wav")], "that of day1 is another one"
        table.append([row(Path("001.wav"), "Sounds angry.")])
    monkeypatch.chdir(tmp_path)
    with CaptionTable(Path("t.jsonl"), "json", "e/kd@1") as table:
        assert table.missing([Path("day1/001.wav"), tmp_path / "day2" / "001.wav"]) == []
    monkeypatch.chdir(tmp_path / "day1")
    with CaptionTable(Path("../day2/far.jsonl"), "json", "e/kd@1") as table:
        table.append([row(Path("001.wav"))])
    (far,) = read_captions(tmp_path / "day2" / "far.jsonl", "json")
    assert far["path"] == str(tmp_path / "day1" / "001.wav")
    told = [(own["path"], own["caption"]) for own in read_captions(tmp_path / "t.jsonl", "json")]
    assert told == [("day1/001.wav", "Sounds sad."), ("day2/001.wav", "Sounds angry.")]


def test_a_name_that_is_too_long_is_passed_on_to_be_told_when_it_is_read(folder):
    long = "x" * 300 + ".wav"
    files, _ = find_files([str(folder / "a.wav"), long, "-"], listed=f"{long}\n")
    assert [path.name for path in by_length(files)] == [long, long, "a.wav"]


def test_a_csv_has_a_column_a_tag_and_no_formula_and_is_read_back_right(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def clue(kind: str, tag: str, probability: float, intensity: str = "normal") -> dict:
        return Clue(kind, tag, tag, intensity, probability=probability).to_dict()

    heard = [clue("emotion", "sad", 0.75, "strong"), clue("intensity", "strong", 0.6), clue("rate", "slow", 0.5)]
    texts = ["=1+1", "+49", "-a", "@x", "\tx", "\rx", "\nx", "'=1", "''-a", "'tis", "a\rb", "\uff1dx", "-", ""]
    rows = [{**row(Path(f"{n}.wav")), "caption": text, "transcript": text} for n, text in enumerate(texts)]
    rows[0] |= {"clues": heard, "warnings": ["=one", "two"], "path": "=x/1.wav"}
    rows[1] |= {"clues": [], "warnings": [], "finished": False}
    with CaptionTable(tmp_path / "t.csv", "csv", "e/kd@1") as table:
        table.append(rows)
    assert read_captions(tmp_path / "t.csv", "csv") == rows
    before = (tmp_path / "t.csv").read_bytes()
    with CaptionTable(tmp_path / "t.csv", "csv", "e/kd@1") as table:
        assert table.missing([Path("=x/1.wav")]) == []
    assert (tmp_path / "t.csv").read_bytes() == before
    shown = pd.read_csv(tmp_path / "t.csv", keep_default_na=False, lineterminator="\n")
    tags = ["emotion", "intensity", "level", "pitch", "rate", "timbre"]
    told = ["transcript", "duration_s", "finished", "familiarity", "warnings", "model"]
    assert list(shown) == ["path", "caption", *(n for t in tags for n in (t, f"{t}_probability")), *told]
    first = shown.iloc[0].to_dict()
    assert (first["path"], first["caption"]) == ("'=x/1.wav", "'=1+1")
    assert (first["emotion"], first["intensity"], first["rate"], first["level"]) == ("sad", "strong", "slow", "")
    assert (float(first["emotion_probability"]), first["warnings"]) == (0.75, "'=one; two")
    assert not [cell for cell in shown.to_numpy().ravel() if str(cell)[:1] in tuple("=+-@\t\r")]


def test_a_csv_that_a_spreadsheet_saved_is_continued_and_a_broken_cell_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "t.csv"
    with CaptionTable(out, "csv", "e/kd@1") as table:
        table.append([row(Path("a.wav"))])
    out.write_bytes(b"\xef\xbb\xbf" + out.read_bytes().replace(b"True", b"TRUE"))
    with CaptionTable(out, "csv", "e/kd@1") as table:
        assert table.missing([Path("a.wav")]) == []
    assert read_captions(out, "csv") == [row(Path("a.wav"))]
    out.write_text(out.read_text("utf-8").replace("1.25", '"1,25"'), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"line 3: could not convert string to float: '1,25'"):
        read_captions(out, "csv")


def test_parquet_opens_with_pandas(tmp_path):
    with CaptionTable(tmp_path / "t.parquet", "parquet", "e/kd@1") as table:
        table.append([row(Path("a.wav"))])
    assert pd.read_parquet(tmp_path / "t.parquet").caption[0] == "Sounds sad."


def test_a_killed_run_leaves_the_old_table_whole_and_loses_only_the_batch_in_hand(tmp_path):
    out = tmp_path / "t.jsonl"
    with CaptionTable(out, "json", "e/kd@1") as table:
        table.append([row(tmp_path / "a.wav")])
    before = out.read_bytes()
    code = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_folders import row, CaptionTable\n"
        "out = Path(sys.argv[1])\n"
        "with CaptionTable(out, 'json', 'e/kd@1') as table:\n"
        "    table.append([row(out.parent / 'b.wav')])\n"
        '    table._stream.write(b\'{"path": "half\'); table._stream.flush()\n'
        "    os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, out, Path(__file__).parent], check=False)
    assert killed.returncode == -9 and out.read_bytes() == before
    files = [tmp_path / f"{letter}.wav" for letter in "abc"]
    with CaptionTable(out, "json", "e/kd@1") as table:
        assert table.missing(files) == [files[2]]
    assert [Path(own["path"]).name for own in read_captions(out, "json")] == ["a.wav", "b.wav"]


def test_ctrl_c_while_a_batch_is_stored_does_not_lose_it(tmp_path, monkeypatch):
    def interrupt(_: int) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt), CaptionTable(tmp_path / "t.jsonl", "json", "e/kd@1") as table:
        table.append([row(Path("a.wav"))])
    assert read_captions(tmp_path / "t.jsonl", "json") == [row(Path("a.wav"))]


def test_a_table_of_another_model_or_of_something_else_is_refused_and_stays(tmp_path):
    out = tmp_path / "t.csv"
    with CaptionTable(out, "csv", "e/kd@1") as table:
        table.append([row(Path("a.wav"))])
    before = out.read_bytes()
    with (
        pytest.raises(ArtifactError, match="holds captions of e/kd@1, this is e/sft@2"),
        CaptionTable(out, "csv", "e/sft@2"),
    ):
        pass
    other = tmp_path / "sums.csv"
    other.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ArtifactError, match="is no table of captions"), CaptionTable(other, "csv", "e/kd@1"):
        pass
    assert out.read_bytes() == before and sorted(os.listdir(tmp_path)) == ["sums.csv", "t.csv"]


def test_two_runs_do_not_write_one_table(tmp_path):
    out = tmp_path / "t.jsonl"
    with (
        CaptionTable(out, "json", "e/kd@1") as table,
        pytest.raises(ArtifactError, match="another run is writing it"),
        CaptionTable(out, "json", "e/kd@1"),
    ):
        pass
    assert table.path == out
