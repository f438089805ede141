#!/usr/bin/env python3
"""Prints a recording directory as JSON: its streams, their segments and fragments, and what of them is uploaded.

    python3 reader.py DIRECTORY [--frames]

Written from docs/format.md alone, with the standard library alone. It changes nothing, and may read beside the agent. Times are Unix
ms. With --frames each fragment has its blocks, as [track, time, 1 for a keyframe, offset of the frame in the file, its size].
"""
import json, os, re, sys
sys.dont_write_bytecode = True
from names import PLAIN, directory_names, document, load, parse_name
from segmentfile import read_segment
from sidefiles import read_gaps, read_progress, recorded

KNOWN_FORMAT = 3
STATES = ["writing", "sealed", "uploaded", "refused"]  # of two files of a segment the later one counts


def segment_files(path):
    """Length (-1 while it is being written), state and name of each segment's file, by epoch and start."""
    found = {}
    for name in os.listdir(path):
        segment = parse_name(name)
        if segment and segment[3]:
            one = (segment[2] if segment[3] != "writing" else -1, STATES.index(segment[3]), name)
            found[segment[:2]] = max(found.get(segment[:2], one), one)
    return found


def read_files(path, key, files):
    """A segment's length, state and name, with what its file and its side file hold; None where it is gone. It is read again where
    it has got another name meanwhile, as only then its side file goes."""
    while key in files:
        length, state, name = files[key]
        data, notes = load(os.path.join(path, name)), load(os.path.join(path, re.split(r"\+|\.writing", name)[0] + ".progress"))
        if os.path.exists(os.path.join(path, name)):
            return length, STATES[state], name, data, notes
        files = segment_files(path)
    return None


def read_stream(path, gaps_noted):
    files, clock, segments = segment_files(path), document(os.path.join(path, ".clock"), []), []
    since, gaps = read_gaps(load(os.path.join(path, ".gaps")))
    clock = clock if isinstance(clock, list) else []
    begins = {key[0]: key[1] for key in sorted(files, reverse=True) if key[0]}
    begins.update({n.get("epoch", 0): n["begin"] for n in clock if n.get("begin")})
    for key in sorted(files):
        whole = read_files(path, key, files)
        if whole is None:
            continue
        length, state, name, data, notes = whole
        seg = {"name": name, "epoch": key[0], "start": key[1], "state": state, **read_segment(data, key[1])}
        notes = read_progress(notes, key[1]) if state != "uploaded" else {}
        done = state == "uploaded" or state == "refused" and "pending" not in notes.values()
        for f in seg["fragments"]:
            f["upload"] = notes.get(f["start"], "persisted" if done else "pending")
        seg["end"] = key[1] + length if length >= 0 else max([key[1]] + [f["last"] for f in seg["fragments"]])
        for n in clock:  # the first frames of a clock that was not set are noted late
            if n.get("epoch", 0) == key[0] and key[1] < n.get("from", 0) <= seg["end"] and key[1] < 1577836800000:
                n["from"] = key[1]
        seg["gaps"] = gaps.get(key, [])
        seg["gapsKnown"] = gaps_noted and since is not None and since <= key and state != "writing"
        segments.append(seg)
    for seg in segments:
        seg["recorded"] = [recorded(clock, begins, seg["epoch"], t) for t in (seg["start"], seg["end"])]
    return segments


def stream_of(path, name):
    """The stream that a directory belongs to, or None."""
    directory, mark = os.path.join(path, name), document(os.path.join(path, name, ".stream"), {})
    stream = mark.get("stream", "") if isinstance(mark, dict) else ""
    own = directory_names(stream) if stream else []
    if name.lower() in (n.lower() for n in own):
        return stream
    if any(os.path.exists(os.path.join(path, n)) and os.path.samefile(directory, os.path.join(path, n)) for n in own):
        return None  # another name of that stream's directory
    return name if PLAIN.fullmatch(name) and any(parse_name(n) for n in os.listdir(directory)) else None


def read_store(path):
    words = load(os.path.join(path, ".kvs-edge-format")).split()
    version = int(words[0]) if words and words[0].isdigit() and int(words[0]) else 1
    if version > KNOWN_FORMAT:
        sys.exit(f"{path} has format {version}, and this reader knows formats up to {KNOWN_FORMAT}")
    store, gaps_noted = {"format": version, "streams": []}, b"gaps" in load(os.path.join(path, ".kvs-edge-agent.lock")).split()
    for name in sorted(os.listdir(path)):
        directory = os.path.join(path, name)
        if not os.path.isdir(directory):
            continue
        stream = stream_of(path, name)
        if stream is None:
            continue
        quarantine = os.path.join(directory, "quarantine")
        store["streams"].append({"stream": stream, "directory": name, "segments": read_stream(directory, gaps_noted),
                                 "quarantine": sorted(os.listdir(quarantine)) if os.path.isdir(quarantine) else []})
    return store


if __name__ == "__main__":
    printed = read_store(sys.argv[1])
    for f in (f for stream in printed["streams"] for seg in stream["segments"] for f in seg["fragments"] if "--frames" not in sys.argv):
        del f["blocks"]
    json.dump(printed, sys.stdout, indent=1, ensure_ascii=False)
    print()
