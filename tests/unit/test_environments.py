"""The conda environments: a conda solver takes the files, the pins leave nothing open, the package gets installed."""

import asyncio
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from lock import canonical  # noqa: E402

FILES = sorted((ROOT / "envs").glob("*.yaml"))
each_environment = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def dependencies(file: Path) -> tuple[list[str], dict[str, str]]:
    """What the file asks of conda, and its pins for pip."""
    listed = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    (pins,) = (entry["pip"] for entry in listed if isinstance(entry, dict))
    return [entry for entry in listed if isinstance(entry, str)], dict(pin.split("==") for pin in pins)


def channel(folder: Path) -> str:
    """A conda channel of empty packages: some versions of Python, and pip, which needs one of them."""
    versions = {"python": ["3.10.14", "3.11.0", "3.11.13", "3.12.8"], "pip": ["25.2"]}
    for subdir, names in {"linux-64": ("python",), "noarch": ("pip",)}.items():
        packages = {
            f"{name}-{version}-0.conda": {
                "name": name,
                "version": version,
                "build": "0",
                "build_number": 0,
                "subdir": subdir,
                "depends": ["python >=3.10"] if name == "pip" else [],
                "md5": "0" * 32,
                "sha256": "0" * 64,
                "size": 1,
            }
            for name in names
            for version in versions[name]
        }
        (folder / subdir).mkdir(parents=True)
        repodata = {"info": {"subdir": subdir}, "packages": {}, "packages.conda": packages, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(repodata))
    return folder.as_uri()


@each_environment
def test_a_conda_solver_finds_the_python_of_the_project(file, tmp_path):
    rattler = pytest.importorskip("rattler", reason="no py-rattler: `make setup` installs it")
    asked, _ = dependencies(file)
    specs = [rattler.MatchSpec(spec, strict=True) for spec in asked]
    gateway = rattler.Gateway(cache_dir=tmp_path / "cache")
    solving = rattler.solve([channel(tmp_path / "channel")], specs, gateway, platforms=["linux-64", "noarch"])
    found = {record.name.normalized: str(record.version) for record in asyncio.run(solving)}
    assert found == {"python": "3.11.13", "pip": "25.2"}


@each_environment
def test_pip_has_nothing_to_choose_and_no_conflict(file):
    """Unlike `make setup`, conda lets pip look after dependencies: all of them are pinned, to versions that fit."""
    _, pins = dependencies(file)
    for name in pins:
        for text in importlib.metadata.distribution(name).requires or []:
            need = Requirement(text)
            wanted = canonical(need.name)
            if need.marker is not None and not need.marker.evaluate({"extra": ""}):
                continue
            if name == "torch" and wanted not in pins:  # the CUDA libraries of a build for GPUs, which pins them itself
                continue
            assert wanted in pins, f"{name} needs {need}"
            assert need.specifier.contains(pins[wanted], prereleases=True), f"{name} needs {need}, not {pins[wanted]}"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the script reads of a checkout; an editable install writes beside its sources."""
    folder = tmp_path / "checkout"
    ignore = shutil.ignore_patterns("*.egg-info", "__pycache__")
    for name in ("aligncap", "plugins/aligncap-zh"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.lock"):
        shutil.copy2(ROOT / name, folder)
    return folder


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An environment as conda and pip have made it before the script runs, with only what that needs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "prefix"], check=True)
    (site,) = (tmp_path / "prefix" / "lib").glob("python*/site-packages")
    for name in ("pip", "setuptools"):
        package = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in package.files or [] if file.parts[0] != ".."}:
            (site / top).symlink_to(package.locate_file(top))
    return tmp_path / "prefix"


def index_of_lexicon(folder: Path) -> dict[str, str]:
    """What makes pip look into a folder alone, where one wheel has the name and version of the real nrclex."""
    folder.mkdir()
    (pin,) = (line for line in (ROOT / "requirements.lock").read_text().split() if line.startswith("nrclex=="))
    version = pin.split("==")[1]
    info = f"nrclex-{version}.dist-info"
    with zipfile.ZipFile(folder / f"nrclex-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nrclex.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: nrclex\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}


def deploy(file: Path, prefix: Path, folder: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run the script beside an environment's file, as Snakemake does: in the active environment, by bash."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    environment |= {"CONDA_PREFIX": str(prefix), "PATH": f"{prefix / 'bin'}:{environment['PATH']}", **changed}
    script = file.with_suffix(".post-deploy.sh")
    return subprocess.run(["bash", str(script)], cwd=folder, env=environment, capture_output=True, text=True)


def test_the_script_installs_the_package_its_plugin_and_the_lexicon(checkout, prefix, tmp_path):
    done = deploy(FILES[0], prefix, checkout, **index_of_lexicon(tmp_path / "index"))
    assert done.returncode == 0, done.stderr
    code = (
        "import aligncap, aligncap_zh, nrclex; from importlib.metadata import entry_points\n"
        "print(aligncap.__file__, aligncap_zh.__file__, *entry_points(group='aligncap.parsers').names)"
    )
    python = [str(prefix / "bin" / "python"), "-I", "-c", code]
    shown = subprocess.run(python, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    plugin = checkout / "plugins" / "aligncap-zh" / "aligncap_zh" / "__init__.py"
    assert shown.split() == [str(checkout / "aligncap" / "__init__.py"), str(plugin), "zh"]
    assert (prefix / "bin" / "aligncap").exists()


def test_the_script_outside_a_checkout_says_so_unless_it_is_told_where_one_is(checkout, prefix, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    refused = deploy(FILES[0], prefix, elsewhere)
    assert refused.returncode == 1
    remedy = "run snakemake in it, or set ALIGNCAP_ROOT to it"
    assert refused.stderr == f"envs: {elsewhere} is not the AlignCap checkout; {remedy}\n"
    told = {"ALIGNCAP_ROOT": str(checkout), **index_of_lexicon(tmp_path / "index")}
    assert deploy(FILES[0], prefix, elsewhere, **told).returncode == 0
