"""Relja's ``.mat`` networks in both MATLAB formats, against hloc's reading and a plain Caffe network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import plain
from helpers import matfiles
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.checkpoint import import_checkpoint
from pocketvlad.importer.matlab import read_mat
from pocketvlad.model.backbones.caffe import CrossMapNorm
from pocketvlad.model.preprocess import photo_tensor

K, P = 5, 12
HEIGHT, WIDTH = 120, 160
MEAN = np.array([123.68, 116.779, 103.939], np.float32)
WRITERS = {"v5": matfiles.write_v5, "v7.3": matfiles.write_v73}


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return plain.photo(tmp_path_factory.mktemp("photo") / "waves.png", HEIGHT, WIDTH)


def caffe_reference_net(seed=0):
    """imagenet-caffe-ref to conv5, with torch's own LRN: alpha 1e-4 over 5 channels."""
    torch.manual_seed(seed)
    norm = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)
    convolutions = [
        nn.Conv2d(3, 96, 11, stride=4),
        nn.Conv2d(96, 256, 5, padding=2, groups=2),
        nn.Conv2d(256, 384, 3, padding=1),
        nn.Conv2d(384, 384, 3, padding=1, groups=2),
        nn.Conv2d(384, 256, 3, padding=1, groups=2),
    ]
    for layer in convolutions:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.normal_(layer.bias, std=0.1)
    one, two, three, four, five = convolutions
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return nn.Sequential(
        one, nn.ReLU(), pool, norm, two, nn.ReLU(), pool, norm, three, nn.ReLU(), four, nn.ReLU(), five
    ).eval()


def matlab_layers(network, pool, whitening):
    """The network as ``net.layers``: H x W x in x out filters, other layers by type only."""
    types = {nn.ReLU: "relu", nn.MaxPool2d: "pool", nn.LocalResponseNorm: "normalize"}
    layers = []
    for number, layer in enumerate(network):
        if isinstance(layer, nn.Conv2d):
            filters = layer.weight.detach().permute(2, 3, 1, 0).contiguous().numpy()
            weights = [filters, layer.bias.detach().numpy()[:, None]]
            layers.append({"type": "conv", "name": f"conv{number}", "weights": weights})
        else:
            layers.append({"type": types[type(layer)], "name": f"other{number}"})
    layers.append({"type": "normalize", "name": "preL2", "param": np.array([1024, 1e-12, 1, 0.5])})
    layers.append({"type": "custom", "name": "vlad:core", "weights": pool})
    layers.append({"type": "normalize", "name": "vlad:intranorm"})
    layers.append({"type": "custom", "name": "postL2"})
    if whitening is not None:
        layers.append({"type": "conv", "name": "WPCA", "weights": whitening})
        layers.append({"type": "custom", "name": "finalL2"})
    return layers


def hloc_parts(channels, seed=3):
    """Scores [D, K], centres [D, K], whitening [d * K + k, P] and its bias, as numpy float32."""
    random = np.random.default_rng(seed)
    scores = 8 * random.normal(size=(channels, K))
    matrix, bias = random.normal(size=(channels * K, P)), random.normal(size=P) / 4
    return [x.astype(np.float32) for x in (scores, random.random((channels, K)) / 8, matrix, bias)]


def hloc_vlad(x, scores, centres, bias=None):
    """hloc's NetVLADLayer: [1, D, H, W] -> [1, D * K], index d * K + k."""
    x = functional.normalize(x.flatten(2), dim=1)
    offset = None if bias is None else torch.from_numpy(bias)
    assignment = functional.softmax(
        functional.conv1d(x, torch.from_numpy(scores).T[:, :, None], offset), dim=1
    )
    difference = x.unsqueeze(2) - torch.from_numpy(centres)[None, :, :, None]
    descriptor = (assignment.unsqueeze(1) * difference).sum(dim=-1)
    descriptor = functional.normalize(descriptor, dim=1)
    return functional.normalize(descriptor.view(1, -1), dim=1)


def content(network, scores, centres, whitening, *, bias=None, mean=MEAN, four_axes=False):
    pool = [scores, -centres]
    if four_axes:  # as MatConvNet keeps them; MATLAB keeps leading axes of length 1
        pool = [weight[None, None] for weight in pool]
    if bias is not None:
        pool.insert(1, bias[None])
    net = {"layers": matlab_layers(network, pool, whitening)}
    net["meta"] = {
        "normalization": {"averageImage": mean.reshape(-1, 1, 3) if mean.ndim == 1 else mean},
        "sessionID": "test",
    }
    return {"net": net}


def describe(path, photo):
    imported = import_checkpoint(path)
    preprocess = imported.model.config.preprocess
    assert (preprocess.height, preprocess.width) == (480, 640)
    with torch.no_grad():
        x = torch.from_numpy(photo_tensor(photo, replace(preprocess, height=HEIGHT, width=WIDTH)))[None]
        return imported, imported.model(x)


@torch.no_grad()
def hloc_forward(network, photo, scores, centres, matrix=None, offset=None, bias=None):
    x = network(plain.to_tensor(photo) * 255 - torch.from_numpy(MEAN).view(1, 3, 1, 1))
    vlad = hloc_vlad(x, scores, centres, bias)
    return (
        vlad if matrix is None else plain.whitened(vlad, torch.from_numpy(matrix).T, torch.from_numpy(offset))
    )


@pytest.mark.parametrize("version", WRITERS)
def test_vgg16_as_hloc_reads_it(tmp_path, photo, version):
    network = plain.convolutions("vgg16")
    scores, centres, matrix, offset = hloc_parts(512)
    whitening = [matrix[None, None], offset[:, None]]
    path = WRITERS[version](tmp_path / "net.mat", content(network, scores, centres, whitening))
    assert len(read_mat(path)["net"]["layers"]) == 35
    imported, found = describe(path, photo)
    assert imported.layout == "Relja/netvlad" and imported.model.config.backbone == "vgg16"
    expected = hloc_forward(network, photo, scores, centres, matrix, offset)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("version", WRITERS)
@pytest.mark.parametrize("vladv2", [False, True], ids=["vlad", "vladv2"])
def test_the_caffe_alexnet(tmp_path, photo, version, vladv2):
    network = caffe_reference_net()
    scores, centres, matrix, offset = hloc_parts(256)
    bias = np.linspace(-2, 2, K, dtype=np.float32) if vladv2 else None
    whitening = [matrix[None, None], offset[:, None]]
    value = content(network, scores, centres, whitening, bias=bias, four_axes=True)
    imported, found = describe(WRITERS[version](tmp_path / "net.mat", value), photo)
    assert imported.model.config.backbone == "alexnet_caffe"
    expected = hloc_forward(network, photo, scores, centres, matrix, offset, bias)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_without_whitening_and_with_an_average_image_of_full_size(tmp_path, photo):
    """Descriptors are then the same numbers in another order: k * D + d here, d * K + k there."""
    network = caffe_reference_net()
    scores, centres, _, _ = hloc_parts(256)
    image = np.broadcast_to(MEAN, (7, 9, 3)).astype(np.float32)
    path = matfiles.write_v5(tmp_path / "net.mat", content(network, scores, centres, None, mean=image))
    imported, found = describe(path, photo)
    assert any("average image has a size" in note for note in imported.notes)
    expected = hloc_forward(network, photo, scores, centres).view(256, K).T.reshape(1, -1)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_cross_map_norm_is_torchs():
    x = 40 * torch.randn(2, 96, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1)(x)
    torch.testing.assert_close(CrossMapNorm(96)(x), expected, rtol=1e-4, atol=1e-5)


def cut(index):
    def change(net):
        del net["layers"][index]

    return change


def reshaped(index, weight, shape):
    def change(net):
        net["layers"][index]["weights"][weight] = np.zeros(shape, np.float32)

    return change


def set_layer(index, value):
    def change(net):
        net["layers"][index] = value

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda net: net.pop("layers"), "no cell 'net.layers'"),
        (cut(14), "found no VLAD layer"),
        (cut(13), "no L2 normalisation"),
        (cut(12), "4 convolutions; allowed: 5 of alexnet_caffe"),
        (cut(0), r"a first convolution of 256x48x5x5; allowed: vgg16"),
        (reshaped(8, 0, (3, 3, 256, 99)), r"'conv8' with 384 biases; allowed: 99"),
        (reshaped(8, 1, (99, 1)), r"'conv8' with 99 biases; allowed: 384"),
        (reshaped(14, 1, (256, 4)), r"found no VLAD layer"),
        (reshaped(17, 0, (1, 1, 77, P)), r"a WPCA of 77 columns; allowed: 1280"),
        (lambda net: net["meta"].pop("normalization"), "averageImage"),
        (reshaped(0, 1, (0, 0)), r"weights of layer 1 'conv0' that are not finite numbers"),
        (
            set_layer(14, "a class object"),
            r"layer 15 .* is a MATLAB class object; allowed: structs; save the network",
        ),
    ],
)
def test_a_network_that_is_nearly_right_is_refused_with_what_differs(tmp_path, change, message):
    scores, centres, matrix, offset = hloc_parts(256)
    value = content(caffe_reference_net(), scores, centres, [matrix[None, None], offset[:, None]])
    change(value["net"])
    with pytest.raises(CheckpointError, match=message) as error:
        import_checkpoint(matfiles.write_v5(tmp_path / "net.mat", value))
    assert "net.mat" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("version", WRITERS)
def test_damaged_mat_files_are_one_clear_line(tmp_path, version):
    path = WRITERS[version](
        tmp_path / "net.mat", {"net": {"layers": [{"name": "x" * 3000}], "a": np.eye(40)}}
    )
    whole = path.read_bytes()
    for keep in (130, 700, len(whole) // 2, len(whole) - 9):
        path.write_bytes(whole[:keep])
        with pytest.raises(CheckpointError) as error:
            import_checkpoint(path)
        assert "\n" not in str(error.value) and "net.mat" in str(error.value)


@pytest.mark.parametrize("version", WRITERS)
def test_values_come_back_as_matlab_shows_them(tmp_path, version):
    values = {
        "a": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "s": {"name": "Tübingen", "row": np.array([[1.0, 2.0]])},
        "c": ["x", {"y": np.eye(2)}, [np.ones((3, 1))]],
    }
    found = read_mat(WRITERS[version](tmp_path / "v.mat", values))
    assert np.array_equal(found["a"], values["a"]) and found["a"].dtype == np.float32
    assert found["s"]["name"] == "Tübingen" and np.array_equal(found["s"]["row"], [[1, 2]])
    assert found["c"][0] == "x" and np.array_equal(found["c"][1]["y"], np.eye(2))
    assert np.array_equal(found["c"][2][0], np.ones((3, 1)))
