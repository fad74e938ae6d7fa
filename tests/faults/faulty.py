"""Runs commands of pycodec with faults, each in a child that is forked when everything is imported.

A line of JSON asks for one: "arguments", "environment", and perhaps "memory", bytes that the child may take more than
it has. A line of JSON answers: "status" (negative: minus the signal), "out" and "err".
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import torch
import torch.utils.tensorboard
from PIL import Image

from pycodec import loading, runtime
from pycodec.cli import main

PAGE = os.sysconf("SC_PAGE_SIZE")


def run(arguments: list[str], environment: dict[str, str], memory: int | None = None) -> dict[str, Any]:
    """Status, standard output and error of one command."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if (child := os.fork()) == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.environ.update(environment)
            if memory is not None:
                limit = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE + memory
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may hold it back
            status = 70
            try:
                status = main(arguments)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        _, status = os.waitpid(child, 0)
        answer: dict[str, Any] = {"status": os.waitstatus_to_exitcode(status)}
        for name, file in (("out", out), ("err", err)):
            file.seek(0)
            answer[name] = file.read().decode(errors="replace")
        return answer


if __name__ == "__main__":
    torch.set_num_threads(1)
    Image.init()
    for module in (
        "pycodec.evaluation.run",
        "pycodec.evaluation.report.page",
        "pycodec.training.session",
        "pycodec.batch",
    ):
        import_module(module)
    sys.path.append(str(Path(__file__).parents[1] / "sweep"))
    installed = [*entry_points(group="pycodec"), EntryPoint("toy", "toy_swept", "pycodec")]
    runtime._runtime = runtime.Runtime(installed, ())
    default = loading.load()
    loading.codec_for(default.name, default.fingerprint[:4])  # stays loaded, for children that decompress
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(**json.loads(line))), flush=True)
