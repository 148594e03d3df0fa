"""The captioner object: batches change nothing, whatever the sound comes as; what is saved is what captions."""

import base64
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_checkpoint import COMPUTE

import aligncap
from aligncap import Captioner, artifacts, pipeline
from aligncap.config import Transcripts
from aligncap.errors import AudioError, ModelError
from aligncap.serving.sharing import model_card


def test_a_clip_in_a_batch_gets_the_caption_that_it_gets_alone(captioner, folder):
    files = sorted(folder.rglob("*.[wW][aA][vV]"))
    alone = [captioner.caption(path, "en") for path in files]
    assert len({said.caption for said in alone}) > 1, "else a batch that mixes clips up would pass"
    for size in (2, 5):
        together = list(captioner.caption_all(files, "en", batch_size=size))
        assert together == alone
    assert [said.path for said in alone] == list(map(str, files))
    assert {clue["lemma"] for said in alone for clue in said.clues} <= {"angry", "sad"}
    assert alone[0].duration_s == pytest.approx(0.3, abs=0.001)


def test_it_transcribes_as_the_clips_of_its_training_were(checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "kd")
    system = json.loads((tmp_path / "kd/system.json").read_text())
    system["transcripts"] |= {"beam_size": 2, "task": "translate", "compute_type": "auto"}
    (tmp_path / "kd/system.json").write_text(json.dumps(system))
    other = Captioner.load(tmp_path / "kd", checkpoint.parents[3] / "models", COMPUTE)
    assert other._transcriber.whisper.settings == Transcripts(**system["transcripts"])


def test_a_path_an_array_and_a_mapping_are_one_sound(captioner, folder):
    path = folder / "b.wav"
    samples, rate = soundfile.read(path, dtype="float32")
    describe = pipeline(captioner)
    wanted = describe(path, language="en")
    assert wanted == [{"caption": captioner.caption(path, "en").caption}]
    assert describe(samples, language="en") == wanted
    same = [
        {"array": samples, "sampling_rate": rate},
        {"raw": samples.astype(np.float64), "sampling_rate": rate},
        {"audio": {"array": samples, "sampling_rate": rate, "path": "b.wav"}},
        {"path": str(path)},
        {"bytes": path.read_bytes(), "path": "b.wav"},
    ]
    assert describe(same, language="en", batch_size=2) == wanted * len(same)
    (rich,) = describe(str(path), language="en", return_clues=True)
    assert set(rich) == {"caption", "clues", "transcript", "duration_s", "finished", "familiarity", "warnings"}


def test_a_sound_that_is_none_is_one_line_with_its_name(captioner):
    describe = pipeline(captioner)
    with pytest.raises(AudioError, match=r"^call-7: silent"):
        describe({"array": np.zeros(16000, np.float32), "sampling_rate": 16000, "path": "call-7"})
    with pytest.raises(AudioError, match="one dimension"):
        describe(np.zeros((2, 16000), np.float32))
    with pytest.raises(AudioError, match="a mapping with samples"):
        describe({"samples": [1, 2]})


def test_what_is_saved_captions_the_same_elsewhere_and_says_what_it_is_not_for(
    captioner, folder, tmp_path, monkeypatch
):
    place = captioner.save(tmp_path / "shared" / "mine", base_models=True)
    monkeypatch.chdir(tmp_path)  # no models nearby but those that were saved
    again = Captioner.load(place, compute=COMPUTE)
    assert again.caption(folder / "b.wav", "en") == captioner.caption(folder / "b.wav", "en")
    card = (place / "README.md").read_text(encoding="utf-8")
    front = card.split("---")[1]
    assert "library_name: aligncap" in front and "license: cc-by-nc-sa-4.0" in front  # RAVDESS forbids commerce
    for words in ("must not be used for", "Decisions about people", "consent", "CC BY-NC-SA 4.0", "KD-Regularization"):
        assert words in card
    assert not re.search(r"[{}]|None", card.replace("`{", "")), "a template that was not filled"
    assert json.loads((place / "config.json").read_text())["model_type"] == "aligncap"
    with pytest.raises(ModelError, match="is there already"):
        captioner.save(place)


def test_the_card_has_the_figures_of_the_checkpoints_own_seed(checkpoint, tmp_path):
    system = json.loads((checkpoint / "system.json").read_text(encoding="utf-8")) | {"seed": 1, "system": "kd@1"}
    table = tmp_path / "tables/zero_shot.parquet"

    def card(values):
        rows = [
            {"system": name, "corpus": "x", "metric": "coverage", "value": v, "ci_low": 0.0, "ci_high": 1.0, "n": 9}
            for name, v in values.items()
        ]
        artifacts.write(rows, table, "table", "zero_shot_table", {"marks": {}})
        return model_card(tmp_path / "checkpoints/kd@1", system, "tiny/kd@1")

    told = card({"kd": 0.123, "kd@0": 0.234, "kd@1": 0.345})
    assert "| 0.345 |" in told and "0.123" not in told and "0.234" not in told
    system = system | {"system": "kd", "seed": 0}
    assert "| 0.234 |" in card({"kd": 0.123, "kd@0": 0.234, "kd@1": 0.345})
    assert "| 0.123 |" in card({"kd": 0.123}), "one seed has the only row"


def test_a_card_can_be_written_wherever_the_checkpoint_lies(checkpoint):
    system = json.loads((checkpoint / "system.json").read_text(encoding="utf-8")) | {"corpora": ["emosec_rest"]}
    told = model_card(Path("/model"), system, "tiny/kd")
    assert "| emosec_rest | not stated" in told and "No figures lay beside the checkpoint" in told


def test_a_saved_folder_without_base_models_says_where_they_may_lie(captioner, tmp_path, monkeypatch):
    place = captioner.save(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGNCAP_MODELS", raising=False)
    with pytest.raises(ModelError, match="ALIGNCAP_MODELS"):
        Captioner.load(place)


class Hub(BaseHTTPRequestHandler):
    """The four requests of a model hub that an upload makes."""

    files: dict[str, bytes] = {}
    refuse = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        root = f"http://{self.headers['Host']}"
        if self.refuse:
            return self._answer({"error": "You need to be logged in"}, 401)
        if self.path.startswith("/api/repos/create"):
            return self._answer({"url": f"{root}/me/mine", "id": "me/mine"})
        if "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            return self._answer({"files": modes})
        if "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return self._answer({"commitUrl": f"{root}/me/mine/commit/{'0' * 40}", "commitOid": "0" * 40})
        return self._answer({})

    def _answer(self, value: dict, status: int = 200) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(Hub, "files", {})
    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("ignore:It seems that you are about to commit a data file")
def test_what_is_pushed_is_what_is_saved(captioner, hub, tmp_path):
    address = captioner.push_to_hub("me/mine", endpoint=hub)
    assert address.startswith(f"{hub}/me/mine/commit/")
    place = captioner.save(tmp_path / "mine")
    assert Hub.files == {path.name: path.read_bytes() for path in place.iterdir()}


def test_a_hub_that_refuses_is_one_line_without_the_token(captioner, hub, monkeypatch):
    monkeypatch.setattr(Hub, "refuse", True)
    with pytest.raises(ModelError, match="me/mine: the hub refuses") as caught:
        captioner.push_to_hub("me/mine", endpoint=hub)
    assert "hf_secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_the_package_offers_what_the_docs_name():
    for name in ("Captioner", "pipeline", "score_captions", "parse_clues", "load_corpus"):
        assert callable(getattr(aligncap, name)) and name in dir(aligncap)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = aligncap.nothing
