"""ONNX files of networks say what torch says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is in the train extra")
pytest.importorskip("torchvision", reason="torchvision is in the train extra")

from torch import nn  # noqa: E402

from micromimic.core.errors import ModelError  # noqa: E402
from micromimic.models.networks.faces import CapsNet, FaceCnn, Normalise, make_stem  # noqa: E402
from micromimic.models.networks.flow import FlowCnn  # noqa: E402
from micromimic.models.onnx import load_model  # noqa: E402
from micromimic.models.runtime import METADATA_KEY  # noqa: E402
from micromimic.models.samples import softmax  # noqa: E402
from micromimic.models.training import export  # noqa: E402
from micromimic.models.training.faces import BACKBONES, build_network, face_scores  # noqa: E402
from micromimic.models.training.imagenet import Start  # noqa: E402

METADATA = {
    "name": "test",
    "version": "1",
    "trained_on": "nothing",
    "classes": ["negative", "positive", "surprise"],
    "temperature": 0.2,
    "margin": 0.1,
}


def lived_in(network: nn.Module) -> nn.Module:
    """Give batch normalisation statistics and weights as training leaves them, not 0 and 1."""
    draw = torch.Generator().manual_seed(4)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 2.0),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.3, 0.3),
            ):
                tensor.copy_(torch.rand(tensor.shape, generator=draw) * (high - low) + low)
    return network.eval()


def network_for(name: str) -> tuple[nn.Module, Any, tuple[int, ...]]:
    torch.manual_seed(2)
    if name == "flow-cnn":
        return FlowCnn(), "flow", (3, 28, 28)
    if name.startswith("capsnet-"):
        return CapsNet(make_stem(BACKBONES[name])), "faces", (3, 224, 224)
    if name == "resnet18":
        return FaceCnn("resnet18"), "faces", (3, 224, 224)
    # the layers of VGG11; its fully connected ones, half a gigabyte, are narrower here
    network = FaceCnn.__new__(FaceCnn)
    nn.Module.__init__(network)
    network.normalise = Normalise()
    import torchvision

    network.backbone = torchvision.models.vgg11(init_weights=False)
    for place, sizes in ((0, (25088, 16)), (3, (16, 16)), (6, (16, 3))):
        network.backbone.classifier[place] = nn.Linear(*sizes)
    for module in network.backbone.features:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    return network, "faces", (3, 224, 224)


@pytest.mark.parametrize("name", [*BACKBONES, "flow-cnn"])
def test_onnx_files_say_what_torch_says(name: str) -> None:
    import onnx
    import onnxruntime

    network, view, shape = network_for(name)
    lived_in(network)
    content = export.export_network(network.train(), view, METADATA)
    assert network.training
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (end,) = session.get_inputs()
    assert end.shape[1:] == list(shape)
    given = np.random.default_rng(1).random((3, *shape), np.float32)
    given *= np.array([0.2, 0.9, 0.5], np.float32)[:, None, None, None]
    network.eval()
    with torch.no_grad():
        wanted = network(torch.from_numpy(given)).numpy()
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-4, "the network should not be blind"
    for rows in (1, 3):
        (got,) = session.run(["scores"], {end.name: given[:rows]})
        np.testing.assert_allclose(got, wanted[:rows], atol=1e-4)
    described = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    assert described == {**METADATA, "view": view, "encoder": None}
    assert onnx.load_from_string(content).opset_import[0].version >= 17


def test_a_files_probabilities_are_the_fitted_models(tmp_path: Path) -> None:
    network = lived_in(build_network("capsnet-mobilenetv2", Start("random"), seed=0))
    file = tmp_path / "model.onnx"
    file.write_bytes(export.export_network(network, "faces", METADATA))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), np.uint8)
    crops[0] //= 4
    model = load_model(file)
    assert model.view == "faces"
    wanted = softmax(face_scores(network, crops, 3), 0.2)
    np.testing.assert_allclose(model.probabilities(crops), wanted, atol=1e-4)
    assert export.export_network(network, "faces", METADATA) == file.read_bytes()


def test_what_cannot_be_exported_is_told() -> None:
    network = FlowCnn()
    with pytest.raises(ModelError, match="a network on one of"):
        export.export_network(network, "volume", METADATA)
    # what a trace takes for a constant: the number of rows
    network.register_forward_hook(lambda module, given, output: output * len(output))
    with pytest.raises(ModelError, match="equal to torch's within 0.0001, got a difference of"):
        export.export_network(network, "flow", METADATA)
    unknown = FlowCnn()
    unknown.register_forward_hook(lambda module, given, output: torch.linalg.svdvals(output))
    with pytest.raises(ModelError, match=r"layers that torch can export, got FlowCnn \("):
        export.export_network(unknown, "flow", METADATA)
