from .base import (
    ClipClassifier as ClipClassifier,
    EarlyStopping as EarlyStopping,
    FitRun as FitRun,
)
from .onnx import (
    load_model as load_model,
)
from .registry import (
    create as create,
    list_models as list_models,
    list_shipped as list_shipped,
    make_model as make_model,
    register as register,
)
from .svm import (
    DescriptorSvm as DescriptorSvm,
    FlowSvm as FlowSvm,
)
from .templates import (
    FlowTemplate as FlowTemplate,
)
from .views import (
    Descriptors as Descriptors,
    Faces as Faces,
    FlowMaps as FlowMaps,
    FlowVectors as FlowVectors,
    Volumes as Volumes,
)
