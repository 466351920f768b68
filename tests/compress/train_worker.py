"""A small training run as a process of its own: `train_worker.py STATE OUT`, alone or under torchrun."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from conftest import make_model
from pocketvlad.compress.compressed import save_compressed
from pocketvlad.compress.parallel import rank_and_world
from pocketvlad.compress.post_training import compress_model
from pocketvlad.compress.trained import train_compressed
from test_trained import place_photos, recipe

if __name__ == "__main__":
    torch.set_num_threads(1)
    plan, source = recipe(steps=12, distill=0.5), make_model()
    found = train_compressed(
        source, compress_model(source, plan), plan, place_photos(), state=Path(sys.argv[1])
    )
    if rank_and_world()[0] == 0:
        save_compressed(sys.argv[2], found, {}, force=True)
