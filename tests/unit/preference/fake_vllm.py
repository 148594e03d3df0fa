"""A program with the interface of `vllm serve` that candidates use; it samples on the CPU with transformers and peft.

It takes the arguments, answers the paths and repeats the words of refusal of vLLM 0.32.0. `--misbehave=WHAT` makes it
do one thing wrong, for most of which it loads no model.
"""

import argparse
import base64
import io
import json
import os
import signal
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

NO_FLAG = "You must set `--enable-prompt-embeds` to input `prompt_embeds`."


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("vllm")
    parser.add_argument("--misbehave", default="")
    parser.add_argument("serve")
    parser.add_argument("folder", type=Path)
    for flag in ("--enable-lora", "--enable-prompt-embeds"):
        parser.add_argument(flag, action="store_true")
    for name in ("--lora-modules", "--logprobs-mode", "--generation-config", "--dtype", "--uds"):
        parser.add_argument(name, required=True)
    for name in ("--max-lora-rank", "--max-model-len"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--lora-target-modules", nargs="+", required=True)
    parser.add_argument("--note", type=Path, help="where to write each request, without its embeddings")
    return parser.parse_args()


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Refused(Exception):
    """HTTP 400."""


class Engine:
    """Samples like vLLM: response k of a request with the seed ``seed + k``."""

    def __init__(self, given: argparse.Namespace) -> None:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        assert given.enable_lora and given.logprobs_mode == "raw_logprobs" and given.generation_config == "vllm"
        name, folder = given.lora_modules.split("=")
        self.name, self.longest = name, given.max_model_len
        torch.set_num_threads(1)
        llm = AutoModelForCausalLM.from_pretrained(given.folder, dtype=getattr(torch, given.dtype))
        self.model = PeftModel.from_pretrained(llm, folder).eval()
        assert self.model.peft_config["default"].r <= given.max_lora_rank
        changed = {name.split(".")[-2] for name, _ in self.model.named_modules() if name.endswith(".lora_A")}
        assert set(given.lora_target_modules) == changed
        self.lock = threading.Lock()

    def complete(self, asked: dict) -> dict:
        import torch

        if asked["model"] != self.name:
            raise Refused(f"The model `{asked['model']}` does not exist.")
        raw = io.BytesIO(base64.b64decode(asked["prompt_embeds"], validate=True))
        prompt = torch.load(raw, weights_only=True, map_location="cpu")
        width = self.model.config.hidden_size
        if prompt.dim() != 2 or prompt.shape[1] != width:
            raise Refused(f"`prompt_embeds` hidden_size {prompt.shape[-1]} does not match the model's {width}.")
        if len(prompt) + asked["max_tokens"] > self.longest:
            raise Refused(f"This model's maximum context length is {self.longest} tokens.")
        assert asked["return_token_ids"] and asked["logprobs"] == 0
        with self.lock, torch.inference_mode():
            return {"choices": [self._choice(prompt, asked, k) for k in range(asked.get("n", 1))]}

    def _choice(self, prompt, asked: dict, number: int) -> dict:
        import torch

        generator = torch.Generator().manual_seed(asked["seed"] + number) if "seed" in asked else None
        embed = self.model.get_input_embeddings()
        inputs, ids, raw, cache = prompt[None], [], [], None
        while len(ids) < asked["max_tokens"]:
            output = self.model(inputs_embeds=inputs, past_key_values=cache, use_cache=True)
            cache, logits = output.past_key_values, output.logits[0, -1].float()
            if asked["temperature"] == 0:
                token = int(logits.argmax())
            else:
                chances, order = (logits / asked["temperature"]).softmax(-1).sort(descending=True)
                chances[chances.cumsum(-1) - chances >= asked["top_p"]] = 0
                token = int(order[torch.multinomial(chances, 1, generator=generator)])
            ids.append(token)
            raw.append(float(logits.log_softmax(-1)[token]))
            if token in asked.get("stop_token_ids", []):
                break
            inputs = embed(torch.tensor([[token]]))
        return {"index": number, "text": "", "token_ids": ids, "logprobs": {"token_logprobs": raw}}


class Misbehaving:
    """Answers wrongly: always, or the ``first two`` requests and then as the engine does."""

    def __init__(self, what: str, given: argparse.Namespace) -> None:
        self.what, self.count = what, 0
        self.engine = Engine(given) if what in ("first two", "other model") else None

    def complete(self, asked: dict) -> dict:
        self.count += 1
        whole = {"token_ids": [1], "logprobs": {"token_logprobs": [-0.5]}}
        if self.what == "no flag":
            raise Refused(NO_FLAG)
        if self.what == "dies":
            say("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 GiB")
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "500" or (self.what == "first two" and self.count == 1):
            raise RuntimeError("EngineCore encountered an issue")
        if self.what == "first two" and self.count == 2:
            return {"choices": [{**whole, "token_ids": None}]}
        if self.what == "other model":
            answer = self.engine.complete(asked)
            answer["choices"][0]["logprobs"]["token_logprobs"] = [-9.0]
            return answer
        if self.engine is not None:
            return self.engine.complete(asked)
        if self.what == "too long":
            raise Refused("This model's maximum context length is 3 tokens.")
        return {
            "no ids": {"choices": [{"logprobs": whole["logprobs"]}]},
            "no choices": {"choices": []},
            "fewer log-probabilities": {"choices": [{**whole, "token_ids": [1, 2]}]},
        }[self.what]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200, {})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.note:
            noted = {name: value for name, value in asked.items() if name != "prompt_embeds"}
            with self.server.note.open("a") as stream:
                stream.write(json.dumps(noted) + "\n")
        if self.path != "/v1/completions":
            return self._answer(404, {"error": {"message": "Not Found"}})
        try:
            self._answer(200, self.server.engine.complete(asked))
        except Refused as error:
            self._answer(400, {"error": {"message": str(error), "type": "BadRequestError", "code": 400}})
        except Exception as error:
            self._answer(500, {"error": {"message": str(error), "type": "InternalServerError", "code": 500}})

    def _answer(self, status: int, body: dict) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *arguments: object) -> None:
        pass


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    given = arguments()
    if given.misbehave == "does not start":
        say("INFO loading\nValueError: No available memory for the cache blocks.\nINFO bye")
        sys.exit(1)
    if given.misbehave == "never ready":
        threading.Event().wait(60)
    with Server(given.uds, Handler) as server:
        server.note = given.note
        server.engine = Misbehaving(given.misbehave, given) if given.misbehave else Engine(given)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        server.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
