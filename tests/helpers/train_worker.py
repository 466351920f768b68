"""A small training run as a process of its own: `train_worker.py STATE OUT`, alone or under torchrun."""

import sys
from pathlib import Path

import torch


def train(state: Path, out: Path) -> None:
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "compress/train")]
    from test_trained import place_photos, recipe

    from helpers.models import make_model
    from pocketvlad.compress.compressed import save_compressed
    from pocketvlad.compress.post_training import compress_network
    from pocketvlad.compress.train.trained import train_compressed
    from pocketvlad.ranks import rank_and_world

    torch.set_num_threads(1)
    plan, source = recipe(steps=12, distill=0.5, views=3), make_model()
    found = train_compressed(source, compress_network(source, plan), plan, place_photos(), state=state)
    if rank_and_world()[0] == 0:
        save_compressed(out, found, {}, force=True)


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]))
