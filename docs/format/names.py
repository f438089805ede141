"""Names in a recording directory, as docs/format.md has them, and its files."""
import datetime, hashlib, json, re

NAME = re.compile(r"(?:e(?!000000)(\d{6})-)?(\d{8}T\d{6}\.\d{3}Z)(?:\+(0|[1-9]\d{0,9})\.(?:(sealed|uploaded|refused)\.mkv|garbage)"
                  r"|\.(?:(writing)\.mkv|progress|doubt))", re.A)
PLAIN = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,199}")


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
