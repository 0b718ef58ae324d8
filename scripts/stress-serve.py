"""Many clients of a program's server, most of them rude: answers are compared with the first one to the same prompt, and the
memory of the server with what it was after a tenth of the requests.

    python3 scripts/stress-serve.py PROGRAM [words of `serve`] [-- --requests 10000 --clients 32]

A request is one of: an answer at once, a stream, a stream that the client leaves in the middle, a stream that is read slowly, a
connection that is closed before its request is complete, a body that is not JSON, wrong fields, a prompt that is too long, a
constrained answer, a conversation. At the end SIGTERM comes while answers run; all of them must end well."""

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import time

KINDS = {"whole": 30, "stream": 20, "leave": 12, "slow": 2, "half": 6, "malformed": 8, "wrong": 6, "long": 4, "json": 4, "chat": 8}


class Stress:
    def __init__(self, port, options):
        self.port, self.options, self.known, self.done = port, options, {}, {kind: 0 for kind in KINDS}
        self.problems = []

    async def connect(self, path, body):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        head = (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
        writer.write(head + body)
        await writer.drain()
        return reader, writer

    async def ask(self, path, fields):
        """Status and body."""
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        reader, writer = await self.connect(path, body)
        answer = await asyncio.wait_for(reader.read(), 120)
        writer.close()
        head, _, rest = answer.partition(b"\r\n\r\n")
        if b"chunked" in head.lower():
            rest = unchunked(rest)
        return int(head.split(b" ")[1]), rest

    def fields(self, rng):
        prompt = rng.randrange(40)
        own = random.Random(prompt)
        tokens = [own.randrange(300, 30000) for _ in range(1 + own.randrange(60))]
        return prompt, {"prompt": tokens, "max_tokens": 1 + prompt % 12, "temperature": 0, "ignore_eos": True}

    def check(self, prompt, text, kind):
        if self.known.setdefault(prompt, text) != text:
            self.problems.append(f"{kind}: prompt {prompt} got {text!r}, not {self.known[prompt]!r}")

    async def one(self, rng):
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        try:
            await getattr(self, kind)(rng)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError, IndexError) as error:
            self.problems.append(f"{kind}: {error!r}")
        self.done[kind] += 1

    def expect(self, kind, status, expected, body):
        if status not in (expected, 429):
            self.problems.append(f"{kind}: status {status}: {body[:200]!r}")
        return status == expected

    async def whole(self, rng):
        prompt, fields = self.fields(rng)
        status, body = await self.ask("/v1/completions", fields)
        if self.expect("whole", status, 200, body):
            self.check(prompt, json.loads(body)["choices"][0]["text"], "whole")

    async def stream(self, rng, pause=0.0, events=None):
        prompt, fields = self.fields(rng)
        reader, writer = await self.connect("/v1/completions", json.dumps(fields | {"stream": True}).encode())
        text, complete, seen = "", False, 0
        async for line in reader:
            if line.startswith(b"HTTP/1.1") and b" 200 " not in line:
                status = int(line.split(b" ")[1])
                self.expect("stream", status, 200, await reader.read())
                writer.close()
                return
            if line.startswith(b"data: {"):
                text += json.loads(line[6:])["choices"][0]["text"]
                seen += 1
                if seen == events:
                    writer.transport.abort()
                    return
                await asyncio.sleep(pause)
            complete |= line.startswith(b"data: [DONE]")
        writer.close()
        if not complete:
            self.problems.append("stream: it was cut")
        self.check(prompt, text, "stream")

    async def leave(self, rng):
        await self.stream(rng, events=1 + rng.randrange(3))

    async def slow(self, rng):
        await self.stream(rng, pause=0.3)

    async def half(self, rng):
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        text = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"prompt\""
        writer.write(text[: 1 + rng.randrange(len(text))])
        await writer.drain()
        await asyncio.sleep(rng.random() * 0.05)
        writer.transport.abort()

    async def malformed(self, rng):
        body = rng.choice([b"{", b"[]", b"\xff\xfe", b"nul", b"{\"prompt\": [1,}", b"[" * 5000, rng.randbytes(200)])
        status, answer = await self.ask("/v1/completions", body)
        self.expect("malformed", status, 400, answer)

    async def wrong(self, rng):
        wrong = rng.choice([{"prompt": [-1]}, {"prompt": [10**9]}, {"prompt": []}, {"prompt": {}}, {"max_tokens": -5}, {"temperature": "x"},
                            {"n": 10**6}, {"stop": 7}, {"logit_bias": {"x": 1}}, {"top_p": 7}])
        status, answer = await self.ask("/v1/completions", {"prompt": "x"} | wrong)
        self.expect("wrong", status, 400, answer)

    async def long(self, rng):
        status, answer = await self.ask("/v1/completions", {"prompt": [300] * 100000})
        self.expect("long", status, 400, answer)

    async def json(self, rng):
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
        fields = {"messages": [{"role": "user", "content": "a?"}], "max_tokens": 12, "temperature": 0,
                  "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
        status, body = await self.ask("/v1/chat/completions", fields)
        if self.expect("json", status, 200, body):
            self.check("json", json.loads(body)["choices"][0]["message"]["content"], "json")

    async def chat(self, rng):
        n = rng.randrange(5)
        fields = {"messages": [{"role": "user", "content": "hello " * n}], "max_tokens": 8, "temperature": 0}
        status, body = await self.ask("/v1/chat/completions", fields)
        if self.expect("chat", status, 200, body):
            self.check(f"chat {n}", json.loads(body)["choices"][0]["message"]["content"], "chat")


def unchunked(data):
    out = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        size = int(size, 16)
        if size == 0:
            break
        out, data = out + data[:size], data[size + 2:]
    return out


def resident(pid):
    """MiB of memory that are the process's own, without its mapped files."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


async def drive(stress, server, options):
    left = iter(range(options.requests))
    marks = []

    async def client(number):
        rng = random.Random(number)
        for n in left:
            await stress.one(rng)
            if n % max(1, options.requests // 10) == 0:
                marks.append(resident(server.pid))
                print(f"{n} requests, {marks[-1]:.1f} MiB, {len(stress.problems)} problems", flush=True)
            if server.poll() is not None:
                return

    await asyncio.gather(*(client(number) for number in range(options.clients)))
    await asyncio.sleep(1)
    # The end: answers that run are completed.
    if server.poll() is None:
        body = {"prompt": [500, 600, 700], "max_tokens": 200, "temperature": 0, "ignore_eos": True}
        running = [asyncio.create_task(stress.ask("/v1/completions", body)) for _ in range(4)]
        await asyncio.sleep(0.3)
        marks.append(resident(server.pid))
        server.send_signal(signal.SIGTERM)
        for status, answer in await asyncio.gather(*running):
            if status != 200 or json.loads(answer)["usage"]["completion_tokens"] != 200:
                stress.problems.append(f"at the end: status {status}")
    return marks


def main():
    words = sys.argv[1:]
    own = words[words.index("--") + 1:] if "--" in words else []
    command = words[: words.index("--")] if "--" in words else words
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10000)
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args(own)
    server = subprocess.Popen([command[0], "serve", "--port", "0", *command[1:]], stdout=subprocess.PIPE, text=True)
    port = int(server.stdout.readline().rsplit(":", 1)[1])
    stress = Stress(port, options)
    begin = time.time()
    marks = asyncio.run(drive(stress, server, options))
    status = server.wait(120)
    print(f"{sum(stress.done.values())} requests in {time.time() - begin:.0f} s: {stress.done}")
    print(f"memory after a tenth {marks[1]:.1f} MiB, at the end {marks[-1]:.1f} MiB; the server ended with status {status}")
    for problem in stress.problems[:20]:
        print("problem:", problem)
    grown = marks[-1] > 1.25 * marks[1] + 8
    sys.exit(bool(stress.problems) or status != 0 or grown)


main()
