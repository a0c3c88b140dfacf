"""Where weights start: ImageNet files by hash, state files, random ones with a loud warning."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

torch = pytest.importorskip("torch", reason="torch is in the train extra")
pytest.importorskip("torchvision", reason="torchvision is in the train extra")

from micromimic.core.errors import ModelError  # noqa: E402
from micromimic.core.labels import THREE  # noqa: E402
from micromimic.models.samples import FittedTo  # noqa: E402
from micromimic.models.training import imagenet  # noqa: E402
from micromimic.models.training.faces import FaceNet, build_network  # noqa: E402
from micromimic.models.training.imagenet import Start  # noqa: E402


def hashed(folder: Path, name: str, content: bytes) -> tuple[Path, str]:
    """A file named by its hash, as torchvision's are."""
    digest = hashlib.sha256(content).hexdigest()[:8]
    file = folder / f"{name}-{digest}.pth"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file, digest


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Torch hub's folder of checkpoints, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture(scope="module")
def resnet_weights() -> bytes:
    """Weights of torchvision's ResNet18, as its files hold them."""
    import torchvision

    torch.manual_seed(1)
    buffer = io.BytesIO()
    torch.save(torchvision.models.resnet18().state_dict(), buffer)
    return buffer.getvalue()


def test_without_weights_the_warning_is_loud_and_one_line(hub: Path) -> None:
    text = imagenet.missing_weights("resnet18", "default")
    assert text is not None
    assert "\n" not in text
    assert "RANDOM WEIGHTS" in text
    assert "resnet18-f37072fd.pth" in text
    assert str(hub) in text
    for init in ("none", "download", Path("x")):
        assert imagenet.missing_weights("resnet18", init) is None  # type: ignore[arg-type]
    start = imagenet.starting_weights("resnet18", "resnet18", "default")
    assert start.imagenet is None
    assert start.network is None


def test_a_local_file_is_known_by_its_hash(
    hub: Path, resnet_weights: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, digest = hashed(hub, "resnet18", resnet_weights)
    real = imagenet._hashes
    names = {file.name: digest}
    monkeypatch.setattr(imagenet, "_hashes", lambda b: names if b == "resnet18" else real(b))
    assert imagenet.missing_weights("resnet18", "default") is None
    start = imagenet.starting_weights("resnet18", "resnet18", "default")
    assert start.source == f"ImageNet, {file.name}"
    assert start.imagenet is not None
    network = build_network("capsnet-resnet18", start, seed=0)
    assert torch.equal(network.stem[0].weight, start.imagenet["conv1.weight"])
    # the same content under another name
    other = tmp_path / "mine.bin"
    other.write_bytes(resnet_weights)
    assert imagenet.starting_weights("resnet18", "resnet18", other).imagenet is not None
    with pytest.raises(ModelError, match="weights for capsnet-vgg11, got ImageNet weights of res"):
        imagenet.starting_weights("vgg11", "capsnet-vgg11", other)
    file.write_bytes(resnet_weights[:-1])
    with pytest.raises(ModelError, match="hash in its name, got .* damaged or cut off"):
        imagenet.starting_weights("resnet18", "resnet18", "default")


@pytest.mark.needs("weights")
def test_the_packaged_mobilenet_is_found_without_a_network(hub: Path) -> None:
    model = FaceNet("capsnet-mobilenetv2")
    assert model.warning(["a", "b"]) is None
    start = imagenet.starting_weights("mobilenet_v2", model.architecture, "default")
    assert start.source == "ImageNet, mobilenet_v2-b0353104.pth"
    file = imagenet.local_file("mobilenet_v2")
    assert file is not None and model.starts_from() == (file,)
    with pytest.raises(ModelError, match="got ImageNet weights of mobilenet_v2"):
        imagenet.starting_weights("resnet18", "resnet18", file)


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_a_wrong_file_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "w.pt"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"^expected .*w\.pt.*$") as told:
        imagenet.starting_weights("resnet18", "resnet18", file)
    assert "\n" not in str(told.value)
    with pytest.raises(ModelError, match="found no file"):
        imagenet.starting_weights("resnet18", "resnet18", tmp_path / "gone.pt")


def test_a_failed_download_is_told(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def offline(url: str, *_: Any, **__: Any) -> Any:
        asked.append(url)
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(ModelError, match="expected to fetch https://.*no network"):
        imagenet.starting_weights("resnet18", "resnet18", "download")
    assert len(asked) == 1


def test_only_download_uses_the_network(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        pytest.fail("asked the network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    for init in ("default", "none"):
        assert imagenet.starting_weights("vgg11", "vgg11", init).imagenet is None  # type: ignore[arg-type]


def test_a_state_file_goes_on(tmp_path: Path) -> None:
    first = build_network("resnet18", Start("random"), seed=0)
    file = tmp_path / "state.pt"
    fitted_to = FittedTo(frozenset({"digest"}), frozenset({"db/s1"}))
    file.write_bytes(imagenet.pack_state("resnet18", first.state_dict(), fitted_to.to_json()))
    assert FaceNet("resnet18", init=file).started_from() == fitted_to
    start = imagenet.starting_weights("resnet18", "resnet18", file)
    again = build_network("resnet18", start, seed=9)
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    # of two classes the body is kept, the last layer is another
    for labels in (["a", "b"], ["a", "b", "c"]):
        other = build_network("resnet18", start, seed=9, labels=labels).state_dict()
        assert other["backbone.fc.weight"].shape == (len(labels), 512)
        assert torch.equal(other["backbone.conv1.weight"], first.backbone.conv1.weight)
        assert not torch.equal(other["backbone.fc.weight"], first.backbone.fc.weight)
        told = FaceNet("resnet18", init=file).warning(labels)
        assert told is not None and "LAST LAYER STARTS AT RANDOM" in told
    assert FaceNet("resnet18", init=file).warning(list(THREE)) is None
    file.write_bytes(imagenet.pack_state("resnet18", first.state_dict()))
    assert FaceNet("resnet18", init=file).started_from() is None  # as 0.1 wrote them
    with pytest.raises(ModelError, match="state file of capsnet-resnet18, got one of resnet18"):
        imagenet.starting_weights("resnet18", "capsnet-resnet18", file)
    del start.network["backbone.fc.weight"]  # type: ignore[union-attr, attr-defined]
    with pytest.raises(ModelError, match=r"expected weights that fit resnet18.*fc\.weight"):
        build_network("resnet18", start, seed=0)


def test_random_weights_follow_from_the_seed() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (build_network("resnet18", Start("random"), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.backbone.conv1.weight, same.backbone.conv1.weight)
    assert not torch.equal(one.backbone.conv1.weight, other.backbone.conv1.weight)
