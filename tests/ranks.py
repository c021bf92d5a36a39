"""Runs command lines in processes that are started as torchrun does it, but forked, so that torch is imported once.

    python tests/ranks.py '[[2, ["train", "digits", "--out", "run"]], [1, ["sample"]]]'

Prints one line of JSON for each: the exit codes of its processes, and what they wrote.
"""

import json
import os
import socket
import sys
import tempfile

import torch
import torch._dynamo  # an optimiser would import it at its first step, in every process

from scoresde.cli import main
from scoresde.commands import sample, train  # noqa: F401  # so that no process has to import them
from scoresde.data import data
from scoresde.solvers.unipc import UniPC
from scoresde.training import gallery


def free_port():
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


def run(world, line):
    port, children = free_port(), []
    for rank in range(world):
        said = tempfile.TemporaryFile("w+")
        child = os.fork()
        if not child:
            torch.set_num_threads(1)  # makes the pool that a fork has lost, before two threads do and one finds none
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            if world > 1:
                os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            code = 0
            try:
                sys.argv[1:] = line
                main()
            except SystemExit as end:
                code = end.code or 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        children.append((child, said))
    codes, texts = [], []
    for child, said in children:
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        said.seek(0)
        texts.append("".join(line for line in said if not line.startswith("[Gloo]")))  # which torch 2.10 says
    return {"codes": codes, "said": texts}


if __name__ == "__main__":
    torch.set_num_threads(1)
    gallery.SHEET = 4  # a sheet of 64 would take longer than the training, and so would 19 steps
    gallery.solvers = {"adams": lambda: UniPC(steps=3)}
    data["digits"]().load("train")  # what reads them, scikit-learn, takes longer to import than all that a process does
    for world, line in json.loads(sys.argv[1]):
        print(json.dumps(run(world, line)))
