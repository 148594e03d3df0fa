"""Weights of the Hugging Face hub, or of a mirror that ``HF_ENDPOINT`` names: fetched, checked, and nothing else taken.

The downloads stay in the hub's own cache, where other programs put files, too. A file that is complete there is not
fetched again. The library goes on with a file after a lost connection, but not in another process, so files come one
after the other: a job that is killed loses what it has of one.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from aligncap.errors import ModelError, cause
from aligncap.storage import WRITING

logger = logging.getLogger(__name__)

PATTERNS = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.gguf"]
WEIGHTS = (".safetensors", ".gguf")
# The list of a pickle's parts, and the same weights in another precision, which nothing reads: of Whisper-large-v3 they
# are 6 GB more.
IGNORED = ["*.bin.index.json", "*.fp16*.safetensors", "*.fp32*.safetensors"]
AGAIN = "run the same command again, files that are complete are kept"


def fetch_repository(repository: str, revision: str, built: Path) -> str:
    """Copy the data files of a repository's revision into ``built``.

    A token that reads private and gated repositories is taken from ``HF_TOKEN``, or from what ``hf auth login`` stored.

    Args:
        repository: ``org/name``.
        revision: Commit, tag, branch or pull request (``refs/pr/1``).
        built: Existing folder to copy into.

    Returns:
        The commit that the revision names.

    Raises:
        ModelError: There is no such repository or revision, it may not be read, the hub cannot be reached, a file is not
            what the hub says, or weights are missing. The message names neither the model nor the address.
    """
    from huggingface_hub import HfApi, is_offline_mode, snapshot_download
    from huggingface_hub.utils import filter_repo_objects

    if not revision or "<" in revision:
        raise ModelError("give a revision (hf://org/name@commit), or results may change")
    try:
        snapshot = Path(
            snapshot_download(
                repository, revision=revision, allow_patterns=PATTERNS, ignore_patterns=IGNORED, max_workers=1
            )
        )
        # The library compares sizes alone.
        checked = None if is_offline_mode() else HfApi().verify_repo_checksums(repository, revision=snapshot.name)
    except Exception as error:  # the hub raises many kinds; all mean that the weights cannot be had
        raise ModelError(_told(error, repository, revision)) from error
    for wrong in checked.mismatches if checked else ():
        damaged = snapshot / wrong["path"]
        for path in {damaged.resolve(), damaged}:
            path.unlink(missing_ok=True)
        raise ModelError(
            f"{wrong['path']} has the {wrong['algorithm']} {wrong['actual']}, the hub says {wrong['expected']}; the "
            f"damaged file is deleted: {AGAIN}"
        )
    found = sorted(str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file())
    names = list(filter_repo_objects(found, allow_patterns=PATTERNS, ignore_patterns=IGNORED))
    _require_weights(snapshot, names)
    for name in names:
        (built / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot / name, built / name)
    return snapshot.name


def _require_weights(snapshot: Path, names: list[str]) -> None:
    if not any(name.endswith(WEIGHTS) for name in names):
        raise ModelError(
            "holds no safetensors and no GGUF, and nothing else is taken; a pull request that adds some may be a "
            "revision that you can give (@refs/pr/1)"
        )
    for name in names:
        if name.endswith(".safetensors.index.json"):
            try:
                listed = set(json.loads((snapshot / name).read_text(encoding="utf-8"))["weight_map"].values())
                missing = sorted(part for part in listed if str(Path(name).parent / part) not in names)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                raise ModelError(f"{name} is no list of weights ({cause(error)}); give another revision") from None
            if missing:
                raise ModelError(f"{name} lists {missing[0]}, which this revision does not have; give another one")


def _told(error: BaseException, repository: str, revision: str) -> str:
    """Say what is wrong and what to do. What the library says is several lines, and often of another cause."""
    from huggingface_hub import constants, errors, get_token

    if isinstance(error, OSError) and error.errno in WRITING:
        return f"cannot be stored in {constants.HF_HUB_CACHE}: {WRITING[error.errno]}, or name another in HF_HOME; {AGAIN}"
    page = f"{constants.ENDPOINT}/{repository}"
    answers = [e for e in _causes(error) if isinstance(e, errors.HfHubHTTPError)]
    if not answers:
        if any(isinstance(e, ConnectionError | TimeoutError) or _of_network(e) for e in _causes(error)):
            return f"the connection to {constants.ENDPOINT} fails ({cause(error)}); check network and HF_ENDPOINT; {AGAIN}"
        return f"cannot be fetched from {constants.ENDPOINT} ({cause(error)}); {AGAIN}"
    answer = answers[-1]
    status = answer.response.status_code
    token = "the token in use may not read it" if get_token() else "there is no token (HF_TOKEN)"
    if isinstance(answer, errors.RevisionNotFoundError):
        return f"has no revision {revision}; {page} lists commits, tags and branches"
    if isinstance(answer, errors.GatedRepoError) or status == 403:
        return (
            f"is gated, and {token}; accept its licence at {page}, and put a token of that account that may read gated "
            "repositories into HF_TOKEN"
        )
    if isinstance(answer, errors.RepositoryNotFoundError) or (status == 401 and get_token() is None):
        return f"there is no such repository at {page}, or it is private, and {token}; check its name, and set HF_TOKEN"
    if isinstance(answer, errors.RemoteEntryNotFoundError):
        return f"a file that the hub lists is missing ({answer.response.url.path}); give another revision"
    if status == 401:
        return f"{constants.ENDPOINT} does not know the token in use; put a new one into HF_TOKEN"
    return f"{constants.ENDPOINT} answers with HTTP {status}; {AGAIN}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_network(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
