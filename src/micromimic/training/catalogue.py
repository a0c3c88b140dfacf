"""The trainable networks by name. Imports no torch: a factory does, when it is called."""

from __future__ import annotations

from micromimic.models.learner import Learner
from micromimic.models.registry import register
from micromimic.training.extra import require_extra

_FACES = {
    "capsnet-resnet18": "the article's CapsuleNet, ResNet18 stem",
    "capsnet-vgg11": "the article's CapsuleNet, VGG11 stem",
    "capsnet-mobilenetv2": "CapsuleNet, MobileNetV2 stem",
    "resnet18": "ResNet18 on the apex, the article's baseline",
    "vgg11": "VGG11 on the apex, the article's baseline",
}


@register("flow-capsnet", "compact capsule network on onset-to-apex flow (default)", "flow")
def flow_capsnet() -> Learner:
    """The default model's architecture."""
    return _flow("flow-capsnet")


@register("flow-cnn", "the same convolutions without capsules", "flow")
def flow_cnn() -> Learner:
    """The default model's plain counterpart."""
    return _flow("flow-cnn")


@register("flow-ensemble", "kernel machine about the shipped synthetic networks", "flow")
def flow_ensemble() -> Learner:
    """A kernel machine about the synthetic networks."""
    require_extra()
    from micromimic.training.ensemble import FlowEnsemble  # noqa: PLC0415

    return FlowEnsemble()


@register("flow-template", "cosine to the classes' mean flow maps, the control", "flow")
def flow_template() -> Learner:
    """The control."""
    from micromimic.training.template import TemplateLearner  # noqa: PLC0415

    return TemplateLearner()


def _flow(architecture: str) -> Learner:
    require_extra()
    from micromimic.training.flow_nets import FlowLearner  # noqa: PLC0415

    return FlowLearner(architecture)


def _register_faces() -> None:
    for name, about in _FACES.items():

        def factory(architecture: str = name) -> Learner:
            require_extra()
            from micromimic.training.faces import FaceLearner  # noqa: PLC0415

            return FaceLearner(architecture)

        register(name, about, "faces")(factory)


_register_faces()
