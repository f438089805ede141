#!/usr/bin/env python3
"""Prints a recording directory as JSON: its streams, their segments and fragments, and what of them is uploaded.

    python3 reader.py DIRECTORY [--frames]

Written from docs/format.md alone, with the standard library alone. It changes nothing, and may read beside the agent. Times are Unix
ms. With --frames each fragment has its blocks, as [track, time, 1 for a keyframe, offset of the frame in the file, its size].
"""
import datetime, hashlib, json, os, re, sys
sys.dont_write_bytecode = True
from segmentfile import read_segment

KNOWN_FORMAT = 2
NAME = re.compile(r"(?:e(?!000000)(\d{6})-)?(\d{8}T\d{6}\.\d{3}Z)(?:\+(0|[1-9]\d{0,9})\.(?:(sealed|uploaded|refused)\.mkv|garbage)"
                  r"|\.(?:(writing)\.mkv|progress|doubt))", re.A)
PLAIN = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,199}")
STATES = ["writing", "sealed", "uploaded", "refused"]  # of two files of a segment the later one counts


def load(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:  # gone meanwhile, or renamed: the next reading finds it
        return b""


def document(path, otherwise):
    try:
        return json.loads(load(path))
    except ValueError:
        return otherwise


def parse_name(name):
    """Epoch, start, length and state of a segment's file; the state of a side file is None, as is the result for any other name."""
    m = NAME.fullmatch(name)
    try:
        start = datetime.datetime.strptime(m[2], "%Y%m%dT%H%M%S.%fZ") - datetime.datetime(1970, 1, 1)
    except (TypeError, ValueError):
        return None
    return (int(m[1] or 0), start // datetime.timedelta(milliseconds=1), int(m[3] or 0), m[4] or m[5]) if int(m[3] or 0) < 1 << 32 else None


def directory_names(stream):
    escaped = re.sub(r"[^a-zA-Z0-9_-]", "_", stream)[:64] + "%" + hashlib.sha256(stream.encode()).hexdigest()[:32]
    return [stream, escaped] if PLAIN.fullmatch(stream) else [escaped]


def read_progress(text, zero):
    """What is noted of fragments, by their start: persisted, pending again, or refused WHY."""
    notes = {}
    for words in (line.split() for line in text.decode(errors="replace").split("\n")):
        if len(words) < 4 or not all(re.fullmatch(r"\d+", w, re.A) for w in words[1:4]):
            continue
        at = zero + int(words[1])
        if words[0] == "persisted" or words[0] == "again" and notes.get(at, "").startswith("refused"):
            notes[at] = "persisted" if words[0] == "persisted" else "pending"
        elif words[0] == "refused":
            notes[at] = " ".join(["refused"] + words[4:])
    by_service = re.compile(r"refused (?!0+( |$)|4000( |$))(\d+|(?=\S*_)[A-Z0-9_]+)( .*)?", re.A)
    return {at: "pending" if note.startswith("refused") and not by_service.fullmatch(note) else note for at, note in notes.items()}


def recorded(notes, begins, epoch, t):
    """When a frame was recorded that the files of an epoch date t; begins has when epochs began."""
    bound = min((at for e, at in begins.items() if e > epoch), default=None)
    best, known = None, lambda n: not n.get("ahead") or n.get("addMs")
    ahead = [{"epoch": epoch, "from": bound + 1501, "ahead": True}] if bound is not None else []
    for n in ahead + [n for n in notes if n.get("epoch", 0) == epoch and not n.get("begin")]:
        until = n.get("until") or (1 << 63 if n.get("ahead") else 0)
        if n.get("from", 0) <= t <= until and (best is None or known(n) or not known(best)):
            best = n
    t += best.get("addMs" if known(best) else "guessMs", 0) if best else 0
    return t if bound is None else min(t, bound)


def read_stream(path, gaps_noted):
    found, side, gaps, since = {}, {}, {}, None
    for name in os.listdir(path):
        segment = parse_name(name)
        if segment and segment[3]:
            key = segment[:2]
            found[key] = max(found.get(key, (-1, -1, "")), (segment[2] if segment[3] != "writing" else -1, STATES.index(segment[3]), name))
        elif segment and name.endswith(".progress"):
            side[segment[:2]] = name
    for words in (line.split() for line in load(os.path.join(path, ".gaps")).decode(errors="replace").split("\n")):
        segment = parse_name(words[min(1, len(words) - 1) if words[0] == "since" else 0] + ".progress") if words else None
        if segment and len(words) == 2 and words[0] == "since" and gaps_noted:
            since = since or segment[:2]
        elif segment and len(words) == 3 and words[1].isdecimal() and words[2].isdecimal() and int(words[1]) < int(words[2]) < 1 << 32:
            gap = [segment[1] + int(words[1]), segment[1] + int(words[2])]
            if gap not in gaps.setdefault(segment[:2], []):
                gaps[segment[:2]].append(gap)
    clock = document(os.path.join(path, ".clock"), [])
    clock = clock if isinstance(clock, list) else []
    begins = {key[0]: key[1] for key in sorted(found, reverse=True) if key[0]}
    begins.update({n.get("epoch", 0): n["begin"] for n in clock if n.get("begin")})
    segments = []
    for key, (length, state, name) in sorted(found.items()):
        seg = {"name": name, "epoch": key[0], "start": key[1], "state": STATES[state]}
        seg.update(read_segment(load(os.path.join(path, name)), key[1]))
        notes = read_progress(load(os.path.join(path, side[key])), key[1]) if key in side and seg["state"] != "uploaded" else {}
        done = seg["state"] == "uploaded" or seg["state"] == "refused" and "pending" not in notes.values()
        for f in seg["fragments"]:
            f["upload"] = notes.get(f["start"], "persisted" if done else "pending")
        seg["end"] = key[1] + length if length >= 0 else max([key[1]] + [f["last"] for f in seg["fragments"]])
        for n in clock:  # the first frames of a clock that was not set are noted late
            if n.get("epoch", 0) == key[0] and key[1] < n.get("from", 0) <= seg["end"] and key[1] < 1577836800000:
                n["from"] = key[1]
        seg["gaps"], seg["gapsKnown"] = gaps.get(key, []), since is not None and since <= key and seg["state"] != "writing"
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
