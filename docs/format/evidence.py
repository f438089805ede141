#!/usr/bin/env python3
"""Verifies an archive of evidence, as docs/evidence.md describes it, with Python and openssl alone:

    python3 evidence.py door.zip hub.pem

hub.pem is the certificate of the hub, from somebody who is trusted. It ends with 0 when nothing was changed since its key signed it.
It shares no code with kvs-edge-agent, and does not check what the archive has around the files: `kvs-edge-agent verify` does.
"""
import base64
import hashlib
import json
import os
import ssl
import subprocess
import sys
import tempfile
import zipfile


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def der(raw):
    """Two numbers of a signature, as openssl has them."""
    def number(data):
        data = data.lstrip(b"\0") or b"\0"
        data = b"\0" + data if data[0] & 0x80 else data
        return b"\x02" + bytes([len(data)]) + data
    half = len(raw) // 2
    both = number(raw[:half]) + number(raw[half:])
    return b"\x30" + bytes([len(both)]) + both


def openssl_accepts(algorithm, certificate, signed, signature):
    with tempfile.TemporaryDirectory() as d:
        def put(name, data):
            path = os.path.join(d, name)
            with open(path, "wb") as f:
                f.write(data)
            return path
        key = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=certificate, stdout=subprocess.PIPE, check=True).stdout
        options = {
            "PS256": ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"],
            "RS256": ["-sha256"], "ES256": ["-sha256"], "ES384": ["-sha384"],
        }[algorithm]
        if algorithm.startswith("ES"):
            signature = der(signature)
        return subprocess.run(["openssl", "dgst", *options, "-verify", put("key", key), "-signature", put("signature", signature),
                               put("signed", signed)], stdout=subprocess.DEVNULL).returncode == 0


def chain(link, f, size):
    """The SHA-256 of a link and of the next bytes of a file."""
    h = hashlib.sha256(link)
    while size > 0:
        data = f.read(min(size, 1 << 20))
        if not data:
            sys.exit("the media is too short")
        h.update(data)
        size -= len(data)
    return h.digest()


def main(archive, trusted):
    with zipfile.ZipFile(archive) as z, open(trusted, "rb") as f:
        if z.namelist() != ["manifest.json", "manifest.jws", "certificate.pem", "media.mkv"]:
            sys.exit("it is not an archive of evidence")
        manifest, jws, certificate = (z.read(name) for name in z.namelist()[:3])
        first = ssl.PEM_cert_to_DER_cert(certificate.decode().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
        if first != ssl.PEM_cert_to_DER_cert(f.read().decode()):
            sys.exit("another certificate signed it")
        head, _, signature = jws.decode().split(".")
        header = json.loads(unbase64(head))
        if header["typ"] != "kvs-edge-evidence+jws" or unbase64(header["x5t#S256"]) != hashlib.sha256(first).digest():
            sys.exit("the signature is another one")
        if unbase64(header["certificates"]) != hashlib.sha256(certificate).digest():
            sys.exit("the issuers of the certificate are other ones")
        signed = head.encode() + b"." + base64.urlsafe_b64encode(manifest).rstrip(b"=")
        if not openssl_accepts(header["alg"], certificate, signed, unbase64(signature)):
            sys.exit("the signature is not one of this manifest")
        claimed = json.loads(manifest)
        with z.open("media.mkv") as media:
            start = bytes(32)
            if chain(start, media, claimed["media"]["head"]["bytes"]).hex() != claimed["media"]["head"]["sha256"]:
                sys.exit("the head of the media was changed")
            link = start
            for fragment in claimed["fragments"] + [claimed["media"]["tail"]]:
                link = chain(link, media, fragment["bytes"])
                if link.hex() != fragment["sha256"]:
                    sys.exit("the media was changed at " + fragment.get("from", "its end"))
            if media.read(1):
                sys.exit("the media is too long")
    print(f"{claimed['stream']}, {len(claimed['fragments'])} fragments from {claimed['from']} to {claimed['to']}: as it was signed")


if __name__ == "__main__":
    main(*sys.argv[1:])
