"""The table of Saha, Varma, Jawahar, "Compressing Deep Neural Networks for Recognizing Places", ACPR 2017.

What the paper reports for AlexNet and VGG16 with NetVLAD, trained on Paris and tested on Oxford and the other
way round, and the recipes that its settings are here.
"""

from __future__ import annotations

from pocketvlad.compress.recipe import VERSION, LayerRecipe, Recipe
from pocketvlad.compress.train_recipe import TrainRecipe
from pocketvlad.report.reproduction import PaperNetwork, PaperRow

THRESHOLDS, PRUNED = "thresholds", "pruned"
MATCHES = (THRESHOLDS, PRUNED)
L1 = 1e-5  # lambda of the run whose weight histograms are drawn; the paper does not give its own


ALEXNET = PaperNetwork(
    "AlexNet",
    248.6,
    (
        PaperRow(8, 0.001, 25.77, 0.0, 0.0, 41.4),
        PaperRow(8, 0.005, 48.44, 0.0, 0.0, 32.4),
        PaperRow(8, 0.01, 69.92, 2.1, 1.8, 20.0),
        PaperRow(8, 0.05, 85.77, 14.2, 13.3, 10.3),
        PaperRow(5, 0.005, 52.39, 2.9, 3.4, 19.5),
        PaperRow(5, 0.01, 74.95, 7.3, 6.7, 10.6),
    ),
)
VGG16 = PaperNetwork(
    "VGG16",
    529.5,
    (
        PaperRow(8, 0.001, 25.52, 0.0, 0.0, 89.6),
        PaperRow(8, 0.005, 51.77, 0.0, 0.0, 65.1),
        PaperRow(8, 0.01, 68.23, 2.0, 2.1, 40.5),
        PaperRow(8, 0.05, 84.68, 11.8, 14.1, 21.7),
        PaperRow(5, 0.005, 55.77, 2.2, 3.6, 42.1),
        PaperRow(5, 0.01, 75.66, 6.8, 5.6, 21.2),
    ),
)


def paper_network(backbone: str) -> PaperNetwork:
    """The paper's rows for a backbone; one the paper does not have is held against AlexNet's."""
    return VGG16 if backbone == "vgg16" else ALEXNET


def row_recipe(row: PaperRow, match: str, steps: int, seed: int = 0) -> Recipe:
    """A row's setting as a recipe: k-means codebooks per tensor, one threshold for every layer.

    Args:
        row: of the paper.
        match: ``thresholds``, the paper's own; ``pruned``, each layer loses the paper's share of its weights.
        steps: of fine-tuning by the triplet loss, pruning tightened over the first half; 0: none.
        seed: of the fine-tuning.
    """
    layer = LayerRecipe(bits=row.bits, threshold=row.threshold)
    if match == PRUNED:
        layer = LayerRecipe(bits=row.bits, sparsity=row.pruned / 100)
    train = None
    if steps:
        train = TrainRecipe(
            steps=steps,
            start="weights",
            prune_steps=max(1, steps // 2),
            # the whitening's weights are many and the photos few: at the full rate it forgets places it does not see
            projection_rate=0.1,
            decay="cosine",
            assign_every=1,
            seed=seed,
        )
    return Recipe(VERSION, f"paper-{row.name}", layer=layer, train=train)


def l1_recipe(strength: float, steps: int, seed: int = 0) -> Recipe:
    """The run that shows what the L1 penalty does to the weights: nothing is pruned."""
    train = TrainRecipe(
        steps=steps,
        start="weights",
        l1_convolution=strength,
        l1_assignment=strength,
        l1_projection=strength,
        seed=seed,
    )
    return Recipe(VERSION, "l1", layer=LayerRecipe(bits=8), train=train)
