"""Every PyTorch layout: a file written in it from known weights computes what that project computes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import plain
from pocketvlad.errors import CheckpointError
from pocketvlad.importer.checkpoint import import_checkpoint
from pocketvlad.model.preprocess import photo_tensor

K, P = 5, 12
HEIGHT, WIDTH = 120, 160  # of the photo compared on; the models say 480x640
CHANNELS = {"alexnet": 256, "vgg16": 512}


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return plain.photo(tmp_path_factory.mktemp("photo") / "waves.png", HEIGHT, WIDTH)


def describe(path, photo, layout="auto"):
    """Descriptor [1, N] of the imported model on the photo, through the package's own preprocessing."""
    imported = import_checkpoint(path, layout)
    preprocess = imported.model.config.preprocess
    assert (preprocess.height, preprocess.width) == (480, 640)
    with torch.no_grad():
        x = torch.from_numpy(photo_tensor(photo, replace(preprocess, height=HEIGHT, width=WIDTH)))[None]
        return imported, imported.model(x)


def nanne_tensors(backbone="alexnet", bias=False):
    convolutions = plain.convolutions(backbone)
    weight, offset, centroids = plain.random_pool(K, CHANNELS[backbone])
    tensors = {f"encoder.{key}": value for key, value in convolutions.state_dict().items()}
    tensors |= {"pool.conv.weight": weight, "pool.centroids": centroids}
    if bias:
        tensors["pool.conv.bias"] = offset
    return tensors, convolutions


@torch.no_grad()
def nanne_forward(convolutions, tensors, photo):
    features = convolutions(plain.normalised(photo))
    pool = [tensors.get(f"pool.{key}") for key in ("conv.weight", "conv.bias", "centroids")]
    return plain.netvlad_by_clusters(features, *pool)


@pytest.mark.parametrize("bias", [False, True], ids=["vlad", "vladv2"])
@pytest.mark.parametrize("parallel", [False, True], ids=["single", "multi-gpu"])
def test_nanne(tmp_path, photo, bias, parallel):
    tensors, convolutions = nanne_tensors(bias=bias)
    inserted = {key.replace(".", ".module.", 1) if parallel else key: value for key, value in tensors.items()}
    checkpoint = {"epoch": 30, "state_dict": inserted, "best_score": np.float64(0.8), "parallel": parallel}
    torch.save(checkpoint, tmp_path / "checkpoint.pth.tar")
    imported, found = describe(tmp_path / "checkpoint.pth.tar", photo)
    assert imported.layout == "Nanne/pytorch-NetVlad" and imported.notes
    assert (imported.model.config.options.clusters, imported.model.config.dim) == (K, None)
    torch.testing.assert_close(found, nanne_forward(convolutions, tensors, photo), atol=1e-5, rtol=0)


def test_nanne_on_vgg16(tmp_path, photo):
    tensors, convolutions = nanne_tensors("vgg16")
    torch.save({"state_dict": tensors}, tmp_path / "c.pth.tar")
    imported, found = describe(tmp_path / "c.pth.tar", photo)
    assert imported.model.config.backbone == "vgg16"
    torch.testing.assert_close(found, nanne_forward(convolutions, tensors, photo), atol=1e-5, rtol=0)


@pytest.mark.parametrize("rows", [P, 128])
def test_patchnetvlad(tmp_path, photo, rows):
    tensors, convolutions = nanne_tensors()
    weight, bias = plain.random_whitening(rows, K * 256)
    wpca = {"WPCA.0.weight": weight[:, :, None, None], "WPCA.0.bias": bias}
    torch.save({"state_dict": {**tensors, **wpca}, "num_pcs": rows}, tmp_path / "c.pth.tar")
    imported, found = describe(tmp_path / "c.pth.tar", photo)
    assert imported.layout == "QVPR/Patch-NetVLAD" and imported.model.config.dim == rows
    expected = plain.whitened(nanne_forward(convolutions, tensors, photo), weight, bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [512, 4096])
def test_patchnetvlad_at_its_published_sizes(tmp_path, photo, rows):
    """64 clusters and P = 512 or 4096, on AlexNet's 16,384 columns."""
    weight, _, centroids = plain.random_pool(64, 256)
    tensors, convolutions = nanne_tensors()
    tensors |= {"pool.conv.weight": weight, "pool.centroids": centroids}
    projection, bias = plain.random_whitening(rows, 64 * 256)
    wpca = {"WPCA.0.weight": projection[:, :, None, None], "WPCA.0.bias": bias}
    torch.save({"state_dict": {**tensors, **wpca}}, tmp_path / "c.pth.tar")
    imported, found = describe(tmp_path / "c.pth.tar", photo)
    assert imported.model.outputs == rows
    expected = plain.whitened(nanne_forward(convolutions, tensors, photo), projection, bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pca", [True, False])
def test_openibl(tmp_path, photo, pca):
    """EmbedNetPCA of vgg16_netvlad; training checkpoints have no PCA layer."""
    convolutions = plain.convolutions("vgg16")
    weight, _, centroids = plain.random_pool(K, 512)
    projection, bias = plain.random_whitening(P, K * 512)
    tensors = {f"base_model.base.{key}": value for key, value in convolutions.state_dict().items()}
    tensors |= {"net_vlad.conv.weight": weight, "net_vlad.centroids": centroids}
    if pca:
        tensors |= {"pca_layer.weight": projection[:, :, None, None], "pca_layer.bias": bias}
    torch.save({f"module.{key}": value for key, value in tensors.items()}, tmp_path / "c.pth")
    imported, found = describe(tmp_path / "c.pth", photo)
    assert imported.layout == "yxgeee/OpenIBL" and bool(imported.notes) is not pca
    mean = (0.48501960784313836, 0.4579568627450961, 0.4076039215686255)
    with torch.no_grad():
        x = convolutions(plain.normalised(photo, mean, (1 / 255,) * 3))
        expected = plain.netvlad_by_clusters(x, weight, None, centroids)
    if pca:
        expected = plain.whitened(expected, projection, bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("layer", [False, True], ids=["netvlad", "fc_output_dim"])
def test_deep_visual_geo_localization_benchmark(tmp_path, photo, bare, layer):
    convolutions = plain.convolutions("alexnet")
    weight, _, centroids = plain.random_pool(K, 256)
    projection, bias = plain.random_whitening(P, K * 256)
    inner = "0." if layer else ""
    tensors = {f"module.backbone.{key}": value for key, value in convolutions.state_dict().items()}
    tensors |= {f"module.aggregation.{inner}conv.weight": weight}
    tensors |= {f"module.aggregation.{inner}centroids": centroids}
    if layer:
        tensors |= {"module.aggregation.1.weight": projection, "module.aggregation.1.bias": bias}
    checkpoint = {
        "epoch_num": 3,
        "model_state_dict": tensors,
        "recalls": np.array([80.0, 90.0]),
        "best_r5": 90.0,
    }
    torch.save(tensors if bare else checkpoint, tmp_path / "best_model.pth")
    imported, found = describe(tmp_path / "best_model.pth", photo)
    assert imported.layout == "deep-visual-geo-localization-benchmark"
    assert imported.model.config.dim == (P if layer else None)
    with torch.no_grad():
        expected = plain.netvlad_by_clusters(convolutions(plain.normalised(photo)), weight, None, centroids)
    if layer:
        expected = plain.whitened(expected, projection, bias)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_resnet_of_the_benchmark_without_its_blocks_is_refused(tmp_path):
    tensors = {"backbone.0.weight": torch.zeros(64, 3, 7, 7), "aggregation.centroids": torch.zeros(K, 256)}
    torch.save(tensors, tmp_path / "c.pth")
    with pytest.raises(
        CheckpointError, match=r"backbone .* is unknown; found a ResNet of 0 blocks .*resnet18"
    ):
        import_checkpoint(tmp_path / "c.pth")


def changed(key, value):
    def change(tensors):
        if value is None:
            del tensors[key]
        else:
            tensors[key] = value

    return change


@pytest.mark.parametrize(
    "change, message",
    [
        (changed("pool.centroids", None), r"1 difference; found no 'pool.centroids'"),
        (changed("pool.conv.weight", None), r"found no 'pool.conv.weight'"),
        (changed("encoder.8.bias", None), r"found no 'encoder.8.bias'"),
        (changed("encoder.0.weight", None), r"found no 'encoder.0.weight'"),
        (changed("pool.centroids", torch.zeros(K, 7)), r"'pool.centroids' of shape 5x7 instead of 5x256"),
        (
            changed("pool.centroids", torch.zeros(7, 256)),
            r"'pool.conv.weight' of shape 5x256x1x1 instead of 7x256",
        ),
        (
            changed("encoder.3.weight", torch.zeros(2, 2)),
            r"'encoder.3.weight' of shape 2x2 instead of 192x64x5x5",
        ),
        (changed("encoder.0.weight", torch.zeros(8)), r"'encoder.0.weight' of shape 8 instead of \?x3x\?x\?"),
        (changed("encoder.0.weight", torch.zeros(96, 3, 11, 11)), r"unknown; found .* 96 filters 11x11"),
        (changed("attention.weight", torch.zeros(1)), r"'attention.weight', which Nanne.* does not have"),
        (changed("pool.conv.bias", torch.zeros(3)), r"'pool.conv.bias' of shape 3 instead of 5"),
        (changed("WPCA.0.bias", torch.zeros(3)), r"QVPR/Patch-NetVLAD .* no 'WPCA.0.weight'"),
    ],
)
def test_a_file_that_is_nearly_right_is_refused_with_what_differs(tmp_path, change, message):
    tensors, _ = nanne_tensors()
    change(tensors)
    torch.save({"state_dict": tensors}, tmp_path / "c.pth.tar")
    with pytest.raises(CheckpointError, match=message) as error:
        import_checkpoint(tmp_path / "c.pth.tar")
    assert str(tmp_path / "c.pth.tar") in str(error.value) and "\n" not in str(error.value)


def test_many_differences_are_counted(tmp_path):
    tensors, _ = nanne_tensors()
    for key in ("encoder.0.bias", "encoder.3.bias", "encoder.6.bias", "encoder.8.bias", "encoder.10.bias"):
        del tensors[key]
    torch.save(tensors, tmp_path / "c")
    with pytest.raises(CheckpointError, match=r"with 5 differences; found no 'encoder.0.bias'.* and 2 more"):
        import_checkpoint(tmp_path / "c")


def test_a_named_layout_is_held_to(tmp_path):
    tensors, _ = nanne_tensors()
    torch.save(
        {**tensors, "WPCA.0.weight": torch.zeros(3, K * 256, 1, 1), "WPCA.0.bias": torch.zeros(3)},
        tmp_path / "c",
    )
    assert import_checkpoint(tmp_path / "c", "patchnetvlad").model.config.dim == 3
    with pytest.raises(
        CheckpointError, match="no checkpoint of layout nanne, it is one of patchnetvlad; leave"
    ):
        import_checkpoint(tmp_path / "c", "nanne")
    with pytest.raises(
        CheckpointError,
        match=r"not of layout openibl, it looks like patchnetvlad; found keys such as encoder.0",
    ):
        import_checkpoint(tmp_path / "c", "openibl")
    with pytest.raises(
        CheckpointError, match="unknown layout; found 'caffe'; allowed: auto, patchnetvlad, nanne"
    ):
        import_checkpoint(tmp_path / "c", "caffe")


def test_an_unknown_layout_names_what_is_known(tmp_path):
    save_file({"blocks.0.attn.qkv.weight": torch.zeros(2)}, tmp_path / "vit.safetensors")
    with pytest.raises(
        CheckpointError, match=r"no known layout; found keys such as blocks.0.attn.qkv.weight; allowed"
    ):
        import_checkpoint(tmp_path / "vit.safetensors")
