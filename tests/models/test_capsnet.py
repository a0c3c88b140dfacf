"""CapsuleNet: the article's shapes, its arithmetic by slow loops, its stems by torchvision."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is in the train extra")
torchvision = pytest.importorskip("torchvision", reason="torchvision is in the train extra")

from micromimic.models.networks.capsules import dynamic_routing, margin_loss  # noqa: E402
from micromimic.models.networks.faces import (  # noqa: E402
    CapsNet,
    FaceCnn,
    Normalise,
    make_backbone,
    make_stem,
    vgg11_stem,
)
from micromimic.models.training.imagenet import local_file, starting_weights  # noqa: E402

STEMS = ("resnet18", "vgg11", "mobilenet_v2")


@pytest.fixture(scope="module")
def networks() -> dict[str, CapsNet]:
    """One network a stem, in evaluation mode, random weights."""
    torch.manual_seed(0)
    return {name: CapsNet(make_stem(name)).eval() for name in STEMS}


def faces(count: int = 2, seed: int = 0) -> Any:
    return torch.rand(count, 3, 224, 224, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("stem", STEMS)
def test_shapes_are_the_articles(networks: dict[str, CapsNet], stem: str) -> None:
    network, shapes = networks[stem], {}
    hooks = [
        getattr(network, name).register_forward_hook(
            lambda part, given, made, name=name: shapes.update({name: tuple(made.shape[1:])})
        )
        for name in ("stem", "conv", "primary")
    ]
    with torch.inference_mode():
        network(faces(1))
    for hook in hooks:
        hook.remove()
    # channels first; 6 x 6 places of 32 capsules of 8, and 3 classes of 16
    assert shapes == {"stem": (256, 28, 28), "conv": (256, 20, 20), "primary": (256, 6, 6)}
    assert tuple(network.transform.shape) == (6 * 6 * 32, 8, 3 * 16)


def test_weights_may_start_plainly() -> None:
    torch.manual_seed(0)
    plain, ours = (CapsNet(make_stem("mobilenet_v2"), plain=p) for p in (True, False))
    assert float(plain.transform.detach().std()) == pytest.approx(0.01, rel=0.01)
    assert float(ours.transform.detach().std()) == pytest.approx(0.03, rel=0.01)
    # torch draws a convolution's weights within one over the root of what it sums over
    bound = (256 * 81) ** -0.5
    for part in (plain.conv, plain.primary):
        assert 0.99 * bound < float(part.weight.detach().abs().max()) <= bound
        assert part.bias is not None and bool(part.bias.detach().any())


def test_parameters(networks: dict[str, CapsNet]) -> None:
    count = {k: sum(p.numel() for p in net.parameters()) for k, net in networks.items()}
    # stem + two 9 x 9 convolutions of 256 to 256 with bias + 1152 transforms of 8 to 3 x 16
    head = 2 * (256 * 256 * 81 + 256) + 1152 * 8 * 48
    assert count["resnet18"] == 2_782_784 + head
    assert round(count["resnet18"] / 1e6, 1) == 13.8
    assert count["vgg11"] == 960_896 + head


def test_resnet18_stem_is_torchvisions_without_max_pool() -> None:
    backbone = torchvision.models.resnet18().eval()
    stem = make_stem("resnet18", backbone.state_dict()).eval()
    backbone.maxpool = torch.nn.Identity()
    seen = {}
    backbone.layer3.register_forward_hook(lambda m, i, output: seen.update(layer3=output))
    with torch.no_grad():
        backbone(faces(1))
        assert torch.equal(stem(faces(1)), seen["layer3"])


def test_vgg11_stem_ends_at_the_third_max_pool() -> None:
    backbone = torchvision.models.vgg11(init_weights=False).eval()
    stem = vgg11_stem(backbone)
    pools = [place for place, m in enumerate(stem) if isinstance(m, torch.nn.MaxPool2d)]
    assert pools == [2, 5, 10]
    with torch.no_grad():
        assert torch.equal(stem(faces(1)), backbone.features[:11](faces(1)))


def test_mobilenetv2_stem_is_torchvisions_first_layers() -> None:
    backbone = torchvision.models.mobilenet_v2().eval()
    stem = make_stem("mobilenet_v2", backbone.state_dict()).eval()
    with torch.no_grad():
        first = backbone.features[:7](faces(1))
        assert first.shape == (1, 32, 28, 28)
        assert torch.equal(stem[:7](faces(1)), first)


@pytest.mark.needs("weights")
def test_imagenet_weights_are_in_the_stem() -> None:
    file = local_file("mobilenet_v2")
    assert file is not None
    state = starting_weights("mobilenet_v2", "capsnet-mobilenetv2", "default").imagenet
    stem = make_stem("mobilenet_v2", state)
    assert torch.equal(stem[0][0].weight, torch.load(file)["features.0.0.weight"])


def test_normalisation_is_imagenets() -> None:
    picture = faces(1)
    wanted = torchvision.transforms.functional.normalize(
        picture, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(Normalise()(picture), wanted)


def squash_loop(x: np.ndarray) -> np.ndarray:
    square = sum(value * value for value in x)
    return np.zeros_like(x) if square == 0 else square / (1 + square) * x / np.sqrt(square)


def routing_loop(votes: np.ndarray, iterations: int) -> np.ndarray:
    """(n_in, n_out, d) to (n_out, d), float64."""
    agreement = np.zeros(votes.shape[:2])
    for step in range(iterations):
        upper = np.zeros(votes.shape[1:])
        for i, row in enumerate(agreement):
            powers = np.exp(row - row.max())
            for j, power in enumerate(powers / powers.sum()):
                upper[j] += power * votes[i, j]
        upper = np.stack([squash_loop(x) for x in upper])
        if step < iterations - 1:
            for i in range(len(votes)):
                for j in range(votes.shape[1]):
                    agreement[i, j] += upper[j] @ votes[i, j]
    return upper


@pytest.mark.parametrize("stem", ["vgg11"])
def test_the_capsules_equal_a_loop_in_float64(networks: dict[str, CapsNet], stem: str) -> None:
    network = networks[stem]
    kept: list[Any] = []
    handle = network.primary.register_forward_hook(lambda m, i, output: kept.append(output))
    with torch.no_grad():
        lengths = network(faces()).numpy()
    handle.remove()
    transform = network.transform.detach().double().numpy()
    for maps, got in zip(kept[0].double().numpy(), lengths, strict=True):
        votes = np.zeros((1152, 3, 16))
        for kind in range(32):
            for row in range(6):
                for column in range(6):
                    capsule = squash_loop(maps[8 * kind : 8 * kind + 8, row, column])
                    place = kind * 36 + row * 6 + column
                    votes[place] = (capsule @ transform[place]).reshape(3, 16)
        upper = routing_loop(votes, 3)
        np.testing.assert_allclose(got, np.sqrt((upper**2).sum(1)), atol=1e-5)


def test_routing_at_full_size_equals_a_loop_in_float64() -> None:
    votes = np.random.default_rng(0).normal(0.002, 0.02, (1, 1152, 3, 16))
    got, _ = dynamic_routing(torch.from_numpy(votes), 3)
    np.testing.assert_allclose(got[0].numpy(), routing_loop(votes[0], 3), atol=1e-12)


def test_margin_loss_equals_a_loop_at_its_corners() -> None:
    lengths = np.array([[0.0, 0.1, 0.9], [0.95, 0.05, 0.5], [0.9, 0.9, 1.0], [0.1, 0.0, 0.0]])
    targets = np.array([2, 0, 1, 0])
    total = 0.0
    for row, target in zip(lengths, targets, strict=True):
        for place, length in enumerate(row):
            here = place == target
            gap = max(0.0, 0.9 - length) if here else max(0.0, length - 0.1)
            total += gap**2 if here else 0.5 * gap**2
    got = margin_loss(torch.from_numpy(lengths), torch.from_numpy(targets))
    assert float(got) == pytest.approx(total / 4, abs=1e-15)


def test_finite_where_all_primary_capsules_are_zero(networks: dict[str, CapsNet]) -> None:
    network = networks["vgg11"]
    kept = network.primary.weight.detach().clone()
    with torch.no_grad():
        network.primary.weight.zero_()
    lengths = network(faces(1))
    margin_loss(lengths, torch.tensor([1])).backward()
    assert (lengths < 1e-5).all()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        network.primary.weight.copy_(kept)


@pytest.mark.parametrize("stem", STEMS)
def test_fresh_networks_can_learn_either_way(networks: dict[str, CapsNet], stem: str) -> None:
    """Lengths are neither near 0 nor near 1: both sides of the margin loss have a gradient."""
    training = deepcopy(networks[stem]).train()
    with torch.no_grad():
        lengths = training(faces())
    assert (lengths > 0.05).all()
    assert (lengths < 0.95).all()


def test_baselines_have_three_classes() -> None:
    network = FaceCnn("resnet18").eval()
    with torch.no_grad():
        assert network(faces()).shape == (2, 3)
    assert network.backbone.fc.in_features == 512


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(RuntimeError, match="state_dict"):
        make_backbone("resnet18", make_backbone("mobilenet_v2").state_dict())
