"""Writes the table of docs/caches.md from what scripts/bench-caches.sh measured.

usage: python3 bench-caches.py DIRECTORY DOCUMENT.md
"""

import json
import pathlib
import sys

BEGIN, END = "<!-- measured: from here -->", "<!-- measured: to here -->"


def row(work, n):
    """One line of the table for policy number n."""
    read = lambda name: json.loads((work / f"{name}{n}.json").read_text())
    policy = (work / f"policy{n}").read_text().strip()
    found, state = read("perplexity"), read("inspect")
    tasks = [read(f"tasks{length}") for length in ("1k", "2k")]
    right = [f"{found['right']} of {found['tasks']}" for found in tasks]
    name = "all tokens" if policy == "none" else f"`{policy}`"
    cells = [name, f"{state['state_bytes'] / 1e6:.1f} MB", f"{found['perplexity']:.2f}", *right]
    return "| " + " | ".join(cells) + " |"


def main():
    work, document = map(pathlib.Path, sys.argv[1:])
    count = len(list(work.glob("policy*")))
    lines = [
        "| cache | bytes after a prompt of 4096 tokens | perplexity | pass keys found at 1k | at 2k |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(row(work, n) for n in range(count)),
    ]
    text = document.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(before + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + after)


main()
