"""Kinds of arguments of the phone's operators, from torch's schemas: writes ``kernels/program/signatures.inc``.

python tests/helpers/op_signatures.py
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "toolkit/kernels/program/signatures.inc"
_LETTERS = {
    "Tensor": "T",
    "number": "N",
    "int": "I",
    "float": "F",
    "bool": "B",
    "str": "S",
    "List[int]": "L",
    "List[float]": "D",
    "List[bool]": "A",
    "List[Tensor]": "V",
    "List[Optional[Tensor]]": "W",
}
_WRITTEN = {"Tensor": "O", "List[Tensor]": "U"}
_REFUSED = "X"  # of a number: what takes it would have to be checked as it runs; no program of inference has the others
_NOT_OF_INFERENCE = re.compile(
    r"_backward|::_fft|::narrow_copy|::unfold_copy|::as_strided_copy|::rand|::native_dropout|::nonzero|::masked_sel"
    r"|::masked_scatter|::repeat_interleave|::_pdist|complex|_conj_|view_as_real|_legit.out|^llama::|_(2|4)bit"
    r"|decomposed::(add|mixed|choose|embedding)|decomposed::.*per_token"
)
# What a kernel takes on trust and ends the process by: the letters that ask more, see kernels/program/operators.c
_STRICT = {
    "aten::_adaptive_avg_pool2d.out": "TKO*",
    "aten::_upsample_bilinear2d_aa.out": "TKBffO*",
    "aten::addmm.out": "T22NNO*",
    "aten::arange.start_out": "NNHO*",
    "aten::avg_pool2d.out": "TKKZBBpO*",
    "aten::bmm.out": "33O*",
    "aten::constant_pad_nd.out": "TZNO*",
    "aten::convolution.out": "TTcKZKBZPO*",
    "aten::div.Scalar_mode_out": "GHsO*",
    "aten::div.out_mode": "GTsO*",
    "aten::empty.out": "ZiO*",
    "aten::floor_divide.out": "GTO*",
    "aten::fmod.Scalar_out": "GHO*",
    "aten::fmod.Tensor_out": "GTO*",
    "aten::full.out": "ZNO*",
    "aten::glu.out": "RIO*",
    "aten::linear.out": "R2tO*",
    "aten::max_pool2d_with_indices.out": "TKKZKBOO*",
    "aten::mm.out": "22O*",
    "aten::native_group_norm.out": "TttPPPPFOOO*",
    "aten::native_layer_norm.out": "RKttFOOO*",
    "aten::ones.out": "ZO*",
    "aten::pixel_shuffle.out": "TPO*",
    "aten::pixel_unshuffle.out": "TPO*",
    "aten::reflection_pad1d.out": "TZO*",
    "aten::reflection_pad2d.out": "TZO*",
    "aten::reflection_pad3d.out": "TZO*",
    "aten::remainder.Scalar_out": "GHO*",
    "aten::remainder.Tensor_out": "GTO*",
    "aten::repeat.out": "TZO*",
    "aten::replication_pad1d.out": "TZO*",
    "aten::replication_pad2d.out": "TZO*",
    "aten::replication_pad3d.out": "TZO*",
    "aten::slice_copy.Tensor_out": "TIiiPO*",
    "aten::slice_scatter.out": "TTIiiPO*",
    "aten::split_copy.Tensor_out": "TPIU*",
    "aten::split_with_sizes_copy.out": "TZIU*",
    "aten::view_copy.out": "TEO*",
    "aten::zeros.out": "ZO*",
    "dim_order_ops::_empty_dim_order.out": "ZlO*",
}
_KINDS = str.maketrans("PKZEGHR23pkc", "ILLLTNTTTilt")  # of the stricter letters
_UNDECLARED = {"executorch_prim::et_view.default": "TEY"}  # the runtime's own, without a schema in torch


def signatures() -> dict[str, str]:
    """Name of an operator -> letters of its arguments, then a ``*`` for what it returns, one value or one list."""
    import executorch.exir  # noqa: F401  registers dim_order_ops and more

    from pocketvlad.lut import attention_ops, int8_ops, ops  # noqa: F401  register ours
    from pocketvlad.runtime.operators import phone_operators

    found = {name: _signature(name) for name in sorted(phone_operators())}
    return {name: letters for name, letters in found.items() if letters is not None} | _UNDECLARED


def _signature(name: str) -> str | None:
    schema, written = _schema(name), 0
    if schema is None and name.endswith("out"):  # of an op that torch knows in its pure form alone
        schema = _schema(name.removesuffix("out").removesuffix("_"))
        written = 0 if schema is None else len(schema.returns)
    if schema is None:
        return None
    letters = "".join(_letter(each) for each in schema.arguments) + _WRITTEN["Tensor"] * written
    if not any(letter in letters for letter in _WRITTEN.values()) or _NOT_OF_INFERENCE.search(name):
        return _REFUSED
    letters += (
        "*" if schema.returns or _WRITTEN["List[Tensor]"] in letters else ""
    )  # the runtime's have the list twice
    strict = _STRICT.get(name, letters)
    if strict.translate(_KINDS) != letters:
        raise ValueError(f"{name} has the arguments {letters}, not {strict}")
    return strict


def _schema(name: str) -> torch.FunctionSchema | None:
    namespace, rest = name.split("::")
    base, _, overload = rest.partition(".")
    packet = getattr(getattr(torch.ops, namespace), base, None)
    for wanted in (overload or "default", overload.lower()):
        if wanted and (found := getattr(packet, wanted, None)) is not None:
            return found._schema
    return None


def _letter(argument: torch.Argument) -> str:
    kind = str(argument.type)
    if argument.alias_info is not None and argument.alias_info.is_write:
        return _WRITTEN[kind]
    if kind.startswith("Optional["):
        return _LETTERS[kind.removeprefix("Optional[").removesuffix("]")].lower()
    return _LETTERS[kind]


def text() -> str:
    """The C file."""
    head = "/* Generated by tests/helpers/op_signatures.py. */\n"
    return head + "".join(
        f'SIGNATURE("{name}", "{letters}")\n' for name, letters in sorted(signatures().items())
    )


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "toolkit")]
    FILE.write_text(text())
