#!/usr/bin/env python3
"""Talks to a server (`PROGRAM serve`) as users of the official `openai` package do, and checks what it says.

    python scripts/openai-client.py http://127.0.0.1:8080/v1
"""

import concurrent.futures
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="none")
model = client.models.list().data[0].id
assert client.models.retrieve(model).id == model

greedy = {"model": model, "temperature": 0, "max_tokens": 24, "seed": 1}
messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"}]

whole = client.chat.completions.create(messages=messages, logprobs=True, top_logprobs=3, **greedy)
said = whole.choices[0]
assert said.message.role == "assistant" and said.finish_reason in ("stop", "length"), said
assert whole.usage.completion_tokens >= len(said.logprobs.content) > 0, whole
assert len(said.logprobs.content[0].top_logprobs) == 3

text, usage = "", None
for chunk in client.chat.completions.create(
    messages=messages, stream=True, stream_options={"include_usage": True}, **greedy
):
    usage = chunk.usage or usage
    text += "".join(choice.delta.content or "" for choice in chunk.choices)
assert text == said.message.content, (text, said.message.content)
assert usage == whole.usage, usage

samples = client.completions.create(model=model, prompt=["One", "Two"], n=3, max_tokens=8, temperature=2, logprobs=1)
assert [choice.index for choice in samples.choices] == list(range(6)), samples
assert samples.choices[0].logprobs.token_logprobs[0] <= 0

prompts = [f"Number {n} is" for n in range(16)]
ask = lambda prompt: client.completions.create(prompt=prompt, **greedy).choices[0].text
alone = [ask(prompt) for prompt in prompts]
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert list(pool.map(ask, prompts)) == alone

schema = {"name": "answer", "schema": {"enum": ["yes", "no"]}}
form = {"type": "json_schema", "json_schema": schema}
said = client.chat.completions.create(messages=messages, response_format=form, **greedy)
assert said.choices[0].message.content.strip() in ('"yes"', '"no"'), said

try:
    client.completions.create(model=model, prompt="x", temperature=-1)
    raise SystemExit("a wrong temperature was accepted")
except openai.BadRequestError as error:
    assert "temperature" in error.message, error
try:
    client.models.retrieve("another")
    raise SystemExit("there is a model that is not there")
except openai.NotFoundError:
    pass
print("the openai client is answered as it expects")
