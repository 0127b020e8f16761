#!/usr/bin/env python3
"""Checks an audit log of Hitherto's with nothing of Hitherto's.

    python3 verify_audit.py FOLDER [key.pem]

Python's own hashlib computes the chain of every record, and `openssl` checks the signature of
every checkpoint, by the key beside the log or another. docs/operate/audit.md draws the bytes.
Exits with 0 if the log is what was written, or says the first thing that is wrong.
"""

import base64
import hashlib
import pathlib
import struct
import subprocess
import sys
import tempfile


class Wrong(Exception):
    """What is wrong with a log."""


def is_signed(key, text, signature):
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder, name) for name in ("text", "signature")]
        for path, content in zip(paths, (text, signature)):
            path.write_bytes(content)
        command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", str(key)]
        command += ["-in", str(paths[0]), "-sigfile", str(paths[1])]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def read_checkpoints(folder, key):
    """Every checkpoint in order: records, chain."""
    found = []
    for path in sorted(folder.glob("*.checkpoints")):
        lines = path.read_bytes().split(b"\n")[:-1]
        for begin in range(0, len(lines) - 6, 7):
            note = lines[begin : begin + 7]
            text = b"\n".join(note[:4]) + b"\n"
            signature = base64.b64decode(note[5].split(b" ")[-1])[4:]
            number = int(note[3].split(b" ")[1])
            if number != len(found):
                raise Wrong(f"checkpoint {len(found)} is missing before {number}")
            if not is_signed(key, text, signature):
                raise Wrong(f"checkpoint {number} in {path.name} is not signed by {key}")
            found.append((int(note[1]), base64.b64decode(note[2])))
    if not found:
        raise Wrong("there is no checkpoint")
    return found


def read_chain(folder):
    """Every number of records, with their chain."""
    chain, number, log = None, None, None
    for path in sorted(folder.glob("*.audit")):
        data = path.read_bytes()
        if hashlib.sha256(data[:66]).digest()[:8] != data[66:74] or data[:8] != b"HTHAUDIT":
            raise Wrong(f"the header of {path.name} is not what was written")
        file_log, first, before = data[10:26], struct.unpack("<Q", data[26:34])[0], data[34:66]
        if first == 0:
            chain = hashlib.sha256(b"hitherto audit log 1\n" + file_log).digest()
        is_next = number in (None, first) and int(path.stem, 16) == first
        if not is_next or log not in (None, file_log):
            raise Wrong(f"{path.name} does not follow: records before {first} are gone or moved")
        if chain not in (None, before):
            raise Wrong(f"record {first}: {path.name} does not follow what is before it")
        chain, number, log = before, first, file_log
        yield number, chain
        place = 74
        while place < len(data):
            (length,) = struct.unpack("<I", data[place : place + 4])
            body, tag = data[place : place + 4 + length], data[place + 4 + length :][:8]
            following = hashlib.sha256(chain + body).digest()
            if following[:8] != tag:
                raise Wrong(f"record {number} in {path.name} is not what was written there")
            chain, number, place = following, number + 1, place + length + 12
            yield number, chain


def verify(folder, key):
    checkpoints = read_checkpoints(folder, key)
    chains = dict(read_chain(folder))
    for records, chain in checkpoints:
        # Of what was retired there is only its checkpoints.
        if records >= min(chains) and chains.get(records) != chain:
            raise Wrong(f"record {records}: the log is not that of a checkpoint that was signed")
    return max(chains), len(checkpoints), max(chains) - checkpoints[-1][0]


def main(arguments):
    folder = pathlib.Path(arguments[0])
    key = pathlib.Path(arguments[1]) if len(arguments) > 1 else folder / "key.pem"
    try:
        records, checkpoints, unsigned = verify(folder, key)
    except Wrong as wrong:
        sys.exit(f"wrong: {wrong}")
    print(f"{records} records and {checkpoints} checkpoints are what was written")
    print(f"{unsigned} records at the end are not signed yet")


if __name__ == "__main__":
    main(sys.argv[1:])
