"""Programs that stand in for VTM, BPG and ffmpeg: they take the same arguments and carry the picture through.

Each is a script for `python -S -E`; ``{log}`` in it is the file to which it appends its arguments as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

_HEAD = """#!{python} -SE
import json, sys
arguments = sys.argv[1:]
if arguments in ([], ["-version"]):
    print("{banner}")
    sys.exit({status})
with open({log!r}, "a") as log:
    print(json.dumps(arguments), file=log)

def after(name):
    return arguments[arguments.index(name) + 1]

def option(name):
    return next(a.partition("=")[2] for a in arguments if a.startswith("--" + name + "="))
"""

VTM_ENCODER = """
with open(after("-i"), "rb") as file:
    planes = file.read()
header = json.dumps({k: int(option(k)) for k in ("SourceWidth", "SourceHeight", "InputBitDepth")})
with open(after("-b"), "wb") as file:
    file.write(header.encode() + b"\\n" + planes)
"""

VTM_DECODER = """
with open(after("-b"), "rb") as file:
    header, planes = file.read().split(b"\\n", 1)
found = json.loads(header)
depth = {8: "444", 10: "444p10"}[found["InputBitDepth"]]
with open(after("-o"), "wb") as file:
    line = f"YUV4MPEG2 W{found['SourceWidth']} H{found['SourceHeight']} F1:1 Ip C{depth}\\nFRAME\\n"
    file.write(line.encode() + planes)
"""

# Before version 18, VTM took any name for that of a raw file.
VTM_DECODER_OLD = """
with open(after("-b"), "rb") as file, open(after("-o"), "wb") as out:
    out.write(file.read().split(b"\\n", 1)[1])
"""

BPG_ENCODER = """
with open(arguments[-1], "rb") as file, open(after("-o"), "wb") as out:
    out.write(b"BPG" + file.read())
"""

BPG_DECODER = """
with open(arguments[-1], "rb") as file, open(after("-o"), "wb") as out:
    out.write(file.read().removeprefix(b"BPG"))
"""

FFMPEG = """
sys.stdout.buffer.write(sys.stdin.buffer.read())
"""

SILENT = """
print("done")
"""

FAILING = """
print("progress")
for i in range(9):
    print("line", i, file=sys.stderr)
print("Unknown chroma format", file=sys.stderr)
sys.exit(3)
"""

KILLED = """
import os
os.kill(os.getpid(), 9)
"""


def install(folder: Path, name: str, body: str, banner: str = "Stand-in Version 7.1 [64 bit]") -> Path:
    """Write a program into ``folder``; its arguments go to NAME.log beside it."""
    path = folder / name
    head = _HEAD.format(python=sys.executable, banner=banner, status=1, log=str(path) + ".log")
    path.write_text(head + body)
    path.chmod(0o755)
    return path


def calls(program: Path) -> list[list[str]]:
    """Arguments of every call of a program, but for questions after its version."""
    log = Path(f"{program}.log")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
