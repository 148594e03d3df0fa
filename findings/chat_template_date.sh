#!/usr/bin/env bash
# Finding: a chat template that writes today's date (Llama 3's and SmolLM3's do, through `strftime_now`) cannot be given
#   another date by passing a function of that name to `apply_chat_template`: transformers turns every function that is
#   passed into text. A macro of that name before the template works. So a prompt changes overnight unless one does that.
#
# Versions: transformers 5.23.0, tokenizers as it pins them.
# Behaviour: arguments of `apply_chat_template` reach the template, but a function as the text `<function …>`, so that
#   calling it is a TypeError; one that is not passed is the built-in, which reads the clock.
# Output seen, but for the date:
#   today's year without an argument: True
#   a function that is passed: TypeError
#   a macro before the template: 2024
# It fails where a function that is passed is called, or the macro no longer takes its place.
# Run: bash findings/chat_template_date.sh (about 30 MB from PyPI into a temporary folder)
set -euo pipefail
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
python3 -m venv env
env/bin/pip install -q transformers==5.23.0 jinja2==3.1.6
cat >template.py <<'PY'
from datetime import datetime

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
DATED = "{{ strftime_now('%Y') }}"


def written(template: str, **own: object) -> str:
    messages = [{"role": "user", "content": "Hello."}]
    return tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, **own)


today = written(DATED) == str(datetime.now().year)
print("today's year without an argument:", today)
try:
    passed = written(DATED, strftime_now=lambda form: "2024")
except TypeError:
    passed = "TypeError"
print("a function that is passed:", passed)
macro = written("{% macro strftime_now(form) %}2024{% endmacro %}" + DATED)
print("a macro before the template:", macro)
assert today and passed == "TypeError" and macro == "2024", "another behaviour"
PY
env/bin/python template.py 2>errors || { cat errors >&2; exit 1; }
