"""The candidate engine ``vllm``: a vLLM server that samples captions from prompt embeddings.

Our model computes the embeddings of each prompt, speech included. They are sent to a server that this module starts on
a Unix socket and ends with the job, in whatever environment its program was installed: what vLLM pins contradicts
``requirements.lock``. It serves ``LLM_0`` with the student's LoRA, both exported for it.

The interface is that of these pages, read in November 2026, and of the source of vLLM 0.32.0:

- docs.vllm.ai/en/stable/features/prompt_embeds: ``--enable-prompt-embeds``, and ``prompt_embeds``, a base64-encoded
  ``torch.save`` of a tensor ``[tokens, width]``, instead of ``prompt`` in ``/v1/completions``.
- docs.vllm.ai/en/v0.28.0/serving/online_serving/openai_compatible_server: the other fields of a request.
  ``return_token_ids`` adds the ids of the response, its stop token included; ``logprobs: 0`` adds the log-probability
  of each of them and of no other token.
- docs.vllm.ai/en/stable/configuration/engine_args: with ``--logprobs-mode raw_logprobs`` they are those before
  temperature and nucleus, as ours are.
- docs/features/lora.md of github.com/vllm-project/vllm: ``--enable-lora``, ``--lora-modules name=folder`` and
  ``--lora-target-modules``.

Sample k of a prompt has the seed ``seed + k`` (``vllm/v1/engine/parallel_sampling.py``). The samples are not those of
the engine ``transformers``, and rounding may differ with the requests that share a batch.

Unmeasured on a GPU. ``tests/unit/preference/test_real_vllm.py`` ran with vLLM 0.32.0 on a CPU; the other tests run a
program of this interface.
"""

from __future__ import annotations

import base64
import ctypes
import gc
import io
import logging
import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from aligncap.captioner.export import export_llm0, export_lora
from aligncap.captioner.generate import Decoder, Generated, Sampling
from aligncap.captioner.model import CaptionModel
from aligncap.captioner.packing import Prompt, embed_prompt
from aligncap.config import VllmServer
from aligncap.errors import EngineError, cause
from aligncap.progress import track
from aligncap.storage import MAKING, storing

logger = logging.getLogger(__name__)

SECTION = "preference.candidates.vllm"
INSTEAD = "or set preference.candidates.engine to transformers"
NAME = "captioner"  # the student's LoRA, as the server knows it
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # that --max-lora-rank takes
AT_ONCE = 64  # requests under way; the server makes its own batches of them
TRIES = 3
REQUEST_S = 600.0
HEALTH_S = 5.0
ENDING_S = 30.0
PROBES = 8  # prompts whose first token both sides are asked for
APART = 0.25  # nat; bf16 rounding moves a log-probability by some hundredths, another model by whole nats
ELSEWHERE = "See stack trace"  # in lines of the server that name no cause
SHOWN = 300  # characters of the server's words that are shown
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of linux/prctl.h


class _Logprobs(BaseModel):
    token_logprobs: list[float]


class _Choice(BaseModel):
    token_ids: list[int] = Field(min_length=1)
    logprobs: _Logprobs


class _Completion(BaseModel):
    choices: list[_Choice]


class _Unusable(Exception):
    """A reply that another try may better; the message is what is wrong with it."""


def sample(
    model: CaptionModel,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
    sampling: Sampling,
    server: VllmServer,
    work: Path,
) -> list[list[Generated]]:
    """Sample responses to each prompt, as ``generate`` does, with a vLLM server.

    The model gives up its LLM and its adapter, because the server wants their memory; it can still decode token ids.

    Args:
        model: Captioner whose LoRA was added and not folded.
        prompts: Prompts; their embeddings are held in memory, in the precision of the LLM.
        max_new_tokens: Maximum length of a response in tokens.
        sampling: Number of samples, temperature, nucleus, and a seed for each prompt.
        server: Program and arguments.
        work: Folder for the exported LLM and the server's log, which is removed at the end; the log stays after a
            failure.

    Returns:
        For each prompt, the list of its responses.

    Raises:
        EngineError: The program is missing, does not start, ends, refuses a request, answers what cannot be used in
            ``TRIES`` tries, or does not speak for this model.
        StorageError: The exported LLM cannot be stored.
    """
    program = shutil.which(server.command)
    if program is None:
        raise EngineError(
            f"{SECTION}.command: no program '{server.command}'; install vLLM into an environment of its own and name "
            f"that program, {INSTEAD}"
        )
    shutil.rmtree(work, ignore_errors=True)
    with torch.no_grad(), model.arithmetic():
        embed = model.llm.get_input_embeddings()
        embedded = [embed_prompt(prompt, embed, model.device).to(model.dtype).cpu() for prompt in prompts]
        expected = Decoder(model, prompts[:PROBES]).logits().log_softmax(-1).cpu()
    try:
        export_llm0(model, work / "llm")
        rank, layers = export_lora(model, work / "lora")
        del model.llm, model.adapter
        gc.collect()
        torch.cuda.empty_cache()
        longest = max(map(len, embedded)) + max_new_tokens
        command = [
            *_command(program, work, rank, layers),
            *("--dtype", str(model.dtype).removeprefix("torch."), "--max-model-len", str(longest)),
            *server.arguments,
        ]
        with _serving(command, work / "vllm.log", server.start_s) as client:
            _compare(client, embedded, expected)
            responses = _ask_all(client, embedded, max_new_tokens, sampling, model.end_id)
    finally:
        for name in ("llm", "lora"):
            shutil.rmtree(work / name, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    return responses


def _command(program: str, work: Path, rank: int, layers: Sequence[str]) -> list[str]:
    if rank > RANKS[-1]:
        raise EngineError(f"lora.rank: {rank}, but vLLM takes at most {RANKS[-1]}; train with less, {INSTEAD}")
    return [
        *(program, "serve", str((work / "llm").resolve())),
        *("--enable-lora", "--lora-modules", f"{NAME}={(work / 'lora').resolve()}"),
        *("--max-lora-rank", str(next(size for size in RANKS if size >= rank))),
        # Else vLLM wraps the embedding layer and ends where embeddings and tokens share a batch (its issue 51122).
        *("--lora-target-modules", *layers),
        *("--enable-prompt-embeds", "--logprobs-mode", "raw_logprobs"),
        *("--generation-config", "vllm"),  # else the model's own file may bring a penalty or a top_k
    ]


class _Server:
    """A running server and the client of its socket, for several threads."""

    def __init__(self, process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
        self._process, self._client, self._log = process, client, log

    def wait_until_ready(self, seconds: float) -> None:
        """Wait until the server answers. Raises ``EngineError`` where it ends instead, or takes longer."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.check()
            try:
                if self._client.get("/health", timeout=HEALTH_S).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
        raise EngineError(f"vLLM does not answer after {seconds:g} s ({self._last()}); raise {SECTION}.start_s")

    def check(self) -> None:
        """Raise ``EngineError`` where the process has ended."""
        if (status := self._process.poll()) is not None:
            raise EngineError(f"vLLM ended with status {status}: {self._last()}; mend that, {INSTEAD}")

    def _last(self) -> str:
        """The server's last words that name an error, else its last ones, and where the rest is."""
        lines = [line.strip() for line in self._log.read_text("utf-8", "replace").splitlines() if line.strip()]
        told = (
            [line for line in lines if "error:" in line.lower() and ELSEWHERE not in line] or lines or ["nothing said"]
        )
        return f"{told[-1][-SHOWN:]} [{self._log}]"

    def complete(self, request: dict[str, Any], count: int) -> list[_Choice]:
        """Send a request.

        Args:
            request: Body of ``/v1/completions``, without the model.
            count: Number of responses that it asks for.

        Raises:
            EngineError: As for ``sample``.
        """
        for attempt in range(1, TRIES + 1):
            try:
                return self._tried(request, count)
            except (httpx.TransportError, _Unusable) as problem:
                self.check()
                if attempt == TRIES:
                    told = str(problem) or type(problem).__name__
                    raise EngineError(f"vLLM: {told} ({TRIES} tries) [{self._log}]; mend that, {INSTEAD}") from None
                logger.warning("vLLM: %s; asked again", problem)
                time.sleep(0.5 * attempt)
        raise AssertionError("unreachable")

    def _tried(self, request: dict[str, Any], count: int) -> list[_Choice]:
        reply = self._client.post("/v1/completions", json={"model": NAME, **request})
        told = " ".join(reply.text.split())[:SHOWN]
        if 400 <= reply.status_code < 500:
            raise EngineError(f"vLLM refuses a request, HTTP {reply.status_code}: {told}; mend that, {INSTEAD}")
        if reply.status_code != 200:
            raise _Unusable(f"HTTP {reply.status_code}: {told}")
        try:
            choices = _Completion.model_validate_json(reply.content).choices
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the reply"
            raise _Unusable(f"half an answer, {where}: {first['msg']}") from None
        if len(choices) != count:
            raise _Unusable(f"half an answer, {len(choices)} responses of {count}")
        if any(len(choice.token_ids) != len(choice.logprobs.token_logprobs) for choice in choices):
            raise _Unusable("half an answer, other numbers of token ids than of log-probabilities")
        return choices


@contextmanager
def _serving(command: list[str], log: Path, start_s: float) -> Iterator[_Server]:
    """Start the server, wait until it answers, and end it with all that it started."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}  # it needs no network, and reports nothing
    libc = ctypes.CDLL(None)  # before the fork
    with storing(log, MAKING):
        stream = log.open("wb")
    with stream, tempfile.TemporaryDirectory(prefix="aligncap-") as private:
        socket = str(Path(private) / "vllm")  # only this user may open it; a port would be everyone's
        command = [*command, "--uds", socket]
        logger.info("vLLM: %s", " ".join(command))
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                # A job that is killed leaves no server behind, which would hold the GPU.
                preexec_fn=lambda: libc.prctl(DIE_WITH_PARENT, signal.SIGTERM),
            )
        except OSError as error:
            raise EngineError(
                f"{SECTION}.command: {command[0]} cannot be run ({cause(error)}); name vLLM's program, {INSTEAD}"
            ) from error
        limits = httpx.Limits(max_connections=AT_ONCE)
        transport = httpx.HTTPTransport(uds=socket, limits=limits)
        try:
            with httpx.Client(base_url="http://vllm", transport=transport, timeout=REQUEST_S) as client:
                server = _Server(process, client, log)
                server.wait_until_ready(start_s)
                yield server
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server; what it started is in its session."""
    try:
        process.terminate()
        process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _encoded(embeddings: Tensor) -> str:
    """Serialise a tensor ``[T, H]`` as the server reads it."""
    buffer = io.BytesIO()
    torch.save(embeddings.clone(), buffer)  # of a view, torch would save all that lies under it
    return base64.b64encode(buffer.getvalue()).decode()


def _compare(server: _Server, embedded: Sequence[Tensor], expected: Tensor) -> None:
    """Check that the server speaks for our model, by the first token of some prompts.

    Args:
        server: Server.
        embedded: Embeddings of prompts.
        expected: Log-probabilities of the first token after the first of these prompts by our model, ``[P, V]``.
    """
    gaps = []
    for embeddings, ours in zip(embedded, expected, strict=False):
        asked = {"prompt_embeds": _encoded(embeddings), "max_tokens": 1, "temperature": 0.0}
        (choice,) = server.complete({**asked, "logprobs": 0, "return_token_ids": True}, 1)
        gaps.append(abs(float(ours[choice.token_ids[0]]) - choice.logprobs.token_logprobs[0]))
    gap = sum(gaps) / len(gaps)
    logger.info("vLLM: log-probabilities of the first token differ from ours by %.4f nat", gap)
    if gap > APART:
        raise EngineError(
            f"vLLM does not speak for this model: log-probabilities of the first token of {len(gaps)} prompts differ "
            f"from ours by {gap:.2f} nat, at most {APART}; check {SECTION}.arguments, {INSTEAD}"
        )


def _ask_all(
    server: _Server, embedded: Sequence[Tensor], max_new_tokens: int, sampling: Sampling, end_id: int
) -> list[list[Generated]]:
    def ask(number: int) -> list[Generated]:
        choices = server.complete(
            {
                "prompt_embeds": _encoded(embedded[number]),
                "n": sampling.samples,
                "seed": sampling.seeds[number],
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": max_new_tokens,
                "ignore_eos": True,  # the model's file may name other end tokens than ours
                "stop_token_ids": [end_id],
                "logprobs": 0,
                "return_token_ids": True,
            },
            sampling.samples,
        )
        return [
            Generated(c.token_ids, math.fsum(c.logprobs.token_logprobs), c.token_ids[-1] == end_id) for c in choices
        ]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            return list(track(pool.map(ask, range(len(embedded))), "candidates", len(embedded)))
        finally:
            pool.shutdown(cancel_futures=True)
