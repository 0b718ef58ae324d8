"""Load test of a program's server against llama-server on the same file: tokens per second of all clients together, time to
the first token and between tokens (median and 95th percentile), at several numbers of clients.

Without a peer the program alone is measured. Both servers run during the whole test and take turns, round by round; the one that is not asked does nothing. Prompts are random
tokens, so that no server finds one in a cache. See scripts/bench-serve.sh."""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.request


class Client:
    """Times of the tokens of its answers."""

    def __init__(self):
        self.first, self.gaps, self.tokens = [], [], 0

    async def ask(self, port, prompt, tokens):
        body = json.dumps({
            "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True,
            "stream_options": {"include_usage": True}, "model": "any",
        }).encode()
        head = (f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
        begin = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        await writer.drain()
        last, usage = None, None
        async for line in reader:
            if not line.startswith(b"data: {"):
                if line.startswith(b"HTTP/1.1") and b" 200 " not in line:
                    raise RuntimeError((line + await reader.read(2000)).decode(errors="replace"))
                continue
            now = time.perf_counter()
            if b'"usage":{' in line.replace(b" ", b""):
                usage = json.loads(line[6:])["usage"]["completion_tokens"]
            if last is None:
                self.first.append(now - begin)
            else:
                self.gaps.append(now - last)
            last = now
        writer.close()
        if usage != tokens:
            raise RuntimeError(f"{usage} tokens came, not {tokens}")
        self.tokens += usage


async def load(port, clients, requests, options, seed):
    """Every client asks one thing after another; returns all clients and the seconds that they took."""
    rng = random.Random(seed)
    prompts = [[[rng.randrange(1000, options.vocab) for _ in range(options.prompt)] for _ in range(requests)]
               for _ in range(clients)]
    everyone = [Client() for _ in range(clients)]

    async def run(client, prompts):
        for prompt in prompts:
            await client.ask(port, prompt, options.tokens)

    async def read_long():
        while True:
            await Client().ask(port, [rng.randrange(1000, options.vocab) for _ in range(options.beside)], 1)

    begin = time.perf_counter()
    beside = asyncio.create_task(read_long()) if options.beside else None
    await asyncio.gather(*(run(client, own) for client, own in zip(everyone, prompts)))
    seconds = time.perf_counter() - begin
    if beside:
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
    return everyone, seconds


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] * 1e3


def wait(port, process):
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"a server ended with status {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"the server at port {port} does not answer")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--peer", help="llama-server")
    parser.add_argument("--model", help="GGUF, for the peer")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--prompt", type=int, default=128, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--requests", type=int, default=2, help="of each client in a round")
    parser.add_argument("--beside", type=int, default=0, help="one more client sends prompts of so many tokens all the time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--vocab", type=int, default=32000)
    options = parser.parse_args()
    clients = [int(n) for n in options.clients.split(",")]
    most = max(clients) + bool(options.beside)
    ports = {"seqc": 18080, "llama-server": 18081}
    context = max(options.prompt + options.tokens, options.beside) + 64
    commands = {
        "seqc": [options.program, "serve", "--port", str(ports["seqc"]), "--threads", str(options.threads),
                 "--max-sequences", str(most)],
        "llama-server": [options.peer, "-m", options.model, "--port", str(ports["llama-server"]), "-t", str(options.threads),
                         "-tb", str(options.threads), "-np", str(most), "-c", str(most * context)],
    }
    if not options.peer:
        del commands["llama-server"]
    servers = {name: subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
               for name, command in commands.items()}
    try:
        for name, server in servers.items():
            wait(ports[name], server)
        print("| clients | server | tokens/s | first token, ms: median, p95 | between tokens, ms: median, p95 |")
        print("| ---: | --- | ---: | ---: | ---: |")
        for count in clients:
            found = {name: ([], [], []) for name in servers}
            for round_ in range(-1, options.rounds):
                for name in servers:
                    everyone, seconds = asyncio.run(load(ports[name], count, options.requests, options, f"{count} {round_} {name}"))
                    if round_ < 0:
                        continue
                    rates, first, gaps = found[name]
                    rates.append(sum(client.tokens for client in everyone) / seconds)
                    first += [t for client in everyone for t in client.first]
                    gaps += [t for client in everyone for t in client.gaps]
            for name, (rates, first, gaps) in found.items():
                print(f"| {count} | {name} | {statistics.median(rates):.1f} | {percentile(first, .5):.0f}, {percentile(first, .95):.0f} "
                      f"| {percentile(gaps, .5):.1f}, {percentile(gaps, .95):.1f} |", flush=True)
            if not options.peer:
                continue
            ours, theirs = (statistics.median(found[name][0]) for name in ("seqc", "llama-server"))
            print(f"| {count} | ratio | {ours / theirs:.2f} | | |", flush=True)
    finally:
        for server in servers.values():
            server.terminate()


main()
