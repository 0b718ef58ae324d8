"""Writes what `seqc compare --measure --format json` found into a document, between its two markers.

usage: python3 bench-compare.py FOUND.json DOCUMENT.md
"""
import datetime
import json
import sys

BEGIN, END = "<!-- measured: from here -->", "<!-- measured: to here -->"


def time(seconds):
    """Three digits and a unit."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "us")):
        value = seconds * factor
        if value >= 1:
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def beside(predicted, measured, void):
    if measured is None:
        return ["-", "-", "-"]
    return [time(predicted), time(measured), "void" if void else f"{100 * (predicted / measured - 1):+.0f} %"]


def rows(found):
    for model in found["models"]:
        for point in model["at"]:
            measured, cells = point["measured"], [model["name"], str(point["context"])]
            if measured is None or "skipped" in measured:
                why = (measured or {}).get("skipped", "not measured")
                yield cells + [time(point["prefill"]["seconds"]), why, "-", time(point["decode"]["seconds"]), "-", "-", "-"]
                continue
            cells += beside(point["decode"]["seconds"], measured["decode_seconds"], measured["void"])
            cells += beside(point["prefill"]["seconds"], measured["prefill_seconds"], measured["void"])
            yield cells + [f"{point['memory_rate'] / 1e9:.1f} GB/s" if point["memory_rate"] else "-"]


def section(found):
    machine, threads = found["profile"]["machine"], found["profile"]["all"]["threads"]
    header = ["model", "context", "decode predicted", "measured", "error", "prefill predicted", "measured", "error", "memory beside"]
    lines = [f"{datetime.date.today():%d %B %Y}, {machine['processor']} ({', '.join(machine['features'])}), {machine['cores']} cores, "
             f"{threads} threads; times of one token:", "", "| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(cells) + " |" for cells in rows(found)]
    errors = [abs(p["decode"]["seconds"] / p["measured"]["decode_seconds"] - 1)
              for m in found["models"] for p in m["at"] if p["measured"] and p["measured"].get("decode_seconds") and not p["measured"]["void"]]
    if errors:
        lines += ["", f"The largest error of a decode time is {100 * max(errors):.0f} %."]
    return "\n".join(lines)


def main():
    with open(sys.argv[1]) as file:
        found = json.load(file)
    with open(sys.argv[2]) as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        sys.exit(f"{sys.argv[2]} has no place for the table: the lines `{BEGIN}` and `{END}`")
    head, tail = text[: text.index(BEGIN)], text[text.index(END):]
    new = section(found)
    with open(sys.argv[2], "w") as file:
        file.write(f"{head}{BEGIN}\n\n{new}\n\n{tail}")
    print(new)


main()
