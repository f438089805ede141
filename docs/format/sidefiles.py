"""Reads the side files of a stream's directory, as docs/format.md describes them: .progress, .gaps and .clock."""
import re
from names import parse_name


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


def read_gaps(text):
    """The segment from which on all gaps are noted, or None, and the gaps by segment."""
    since, gaps = None, {}
    for words in (line.split() for line in text.decode(errors="replace").split("\n")):
        if len(words) == 2 and words[0] == "since":
            since = since or (parse_name(words[1] + ".progress") or ())[:2] or None
        elif len(words) == 3 and words[1].isdecimal() and words[2].isdecimal() and int(words[1]) < int(words[2]) < 1 << 32:
            segment = parse_name(words[0] + ".progress")
            if segment and [segment[1] + int(w) for w in words[1:]] not in gaps.setdefault(segment[:2], []):
                gaps[segment[:2]].append([segment[1] + int(w) for w in words[1:]])
    return since, gaps
