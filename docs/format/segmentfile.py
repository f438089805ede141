"""Reads a segment file of a recording directory, as docs/format.md describes it under "Segment file"."""
import re, zlib

SEGMENT, INFO, TRACKS, CLUSTER, CUES, VOID = 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675, 0x1C53BB6B, 0xEC
NEXT_CLUSTER = re.compile(rb"\x1f\x43\xb6\x75\x01.{7}\xe7\x88", re.S)


def elements(data, at, end):
    """One element after the other: ID, offset, start and end of the content. The end is None for an unknown size. Where there is
    no element, or not all of one, the ID is 0, and it is the last."""
    while at < end:
        start = at + 9 - data[at].bit_length()
        behind = start + 9 - data[start].bit_length() if start < end else end + 1
        if start - at > 4 or behind - start > 8 or behind > end:
            break
        ident, ones = int.from_bytes(data[at:start], "big"), (1 << 7 * (behind - start)) - 1
        size = int.from_bytes(data[start:behind], "big") & ones
        if size < ones and behind + size > end and ident != SEGMENT:
            break
        yield ident, at, behind, behind + size if size < ones else None
        at = behind + size if size < ones else end
    if at < end:
        yield 0, at, at, at


def checksum(room, mark, covered):
    if room[:2] != b"\xec\x8c" or room[2:] == bytes(12):
        return "none"
    if room[2:6] != mark or bytes(255 - b for b in room[6:10]) != room[10:]:
        return "damaged"
    return "right" if zlib.crc32(covered).to_bytes(4, "big") == room[6:10] else "wrong"


def fragment(data, offset, content, end, zero):
    blocks, start = [], 0
    for ident, _, at, stop in elements(data, content, end):
        if ident == 0xE7:
            start = zero + int.from_bytes(data[at:stop], "big")
        elif ident == 0xA3:
            time = start + int.from_bytes(data[at + 1:at + 3], "big", signed=True)
            blocks.append([data[at] & 0x7F, time, data[at + 3] >> 7, at + 4, stop - at - 4])
    video = [b for b in blocks if b[0] == 1]
    return {"offset": offset, "size": end - offset, "start": start, "last": max([start] + [b[1] for b in blocks]), "frames": len(video),
            "keyframe": bool(video and video[0][2]), "checksum": checksum(data[max(offset - 14, 0):offset], b"CRCC", data[offset + 12:end]),
            "blocks": blocks}


def read_segment(data, zero):
    """What is in a file of a segment that starts at zero."""
    seg = {"bytes": len(data), "finished": False, "header": "none", "tracks": [], "fragments": []}
    heads = [e for e in elements(data, 0, len(data)) if e[0] == SEGMENT]
    at = heads[0][2] if heads else len(data)
    seg["finished"], changed = bool(heads and heads[0][3] == len(data)), [(at - 8, at + 120)]
    while at < len(data):
        for ident, offset, content, end in elements(data, at, len(data)):
            if ident == INFO:
                changed += [(o, o + 11) for i, o, _, e in elements(data, content, end) if i in (VOID, 0x4489) and e - o == 11]
            elif ident == TRACKS:
                for _, _, entry, entry_end in elements(data, content, end):
                    fields = {i: data[c:e] for i, _, c, e in elements(data, entry, entry_end)}
                    seg["tracks"].append([int.from_bytes(fields.get(0xD7, b""), "big"), fields.get(0x86, b"").decode(errors="replace")])
            elif ident == VOID and data[content:content + 4] == b"CRCH" and not seg["fragments"]:
                covered = bytearray(data[:offset])
                for a, b in changed:
                    covered[a:b] = bytes(b - a)
                seg["header"] = checksum(data[offset:end], b"CRCH", covered)
            elif ident == CLUSTER and end:
                seg["fragments"].append(fragment(data, offset, content, end, zero))
            elif ident in (CUES, CLUSTER, 0):
                break
        found = NEXT_CLUSTER.search(data, offset + 1) if ident == 0 and seg["finished"] else None
        at = found.start() if found else len(data)
    if not seg["finished"]:  # what does not match is not complete yet
        seg["fragments"] = [f for f in seg["fragments"] if f["checksum"] in ("right", "none")]
    return seg
