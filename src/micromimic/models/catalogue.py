"""The models of this room, by name: SVMs on descriptors and on flow maps."""

from __future__ import annotations

from micromimic.models.learner import Learner
from micromimic.models.registry import register
from micromimic.models.svm import DescriptorSvm, FlowSvm


@register("flow-svm", "kernel SVM on centred flow maps", "flow")
def flow_svm() -> Learner:
    """Kernel SVM on centred flow maps."""
    return FlowSvm()


@register("lbp-top-svm", "LBP-TOP and SVM, the article's baseline", "volume")
def lbp_top_svm() -> Learner:
    """The article's baseline."""
    return DescriptorSvm("lbp-top")


@register("lbp-sip-svm", "LBP with six intersection points and SVM", "volume")
def lbp_sip_svm() -> Learner:
    """Six intersection points."""
    return DescriptorSvm("lbp-sip")


@register("hog-top-svm", "HOG on three orthogonal planes and SVM", "volume")
def hog_top_svm() -> Learner:
    """Histograms of oriented gradients on three orthogonal planes."""
    return DescriptorSvm("hog-top")


@register("higo-top-svm", "histograms of image gradient orientation and SVM", "volume")
def higo_top_svm() -> Learner:
    """The same without the gradients' magnitude."""
    return DescriptorSvm("higo-top")
