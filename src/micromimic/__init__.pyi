from . import (
    datasets as datasets,
    evaluation as evaluation,
    models as models,
    spotting as spotting,
    synthesis as synthesis,
)
from .datasets import (
    read_manifest as read_manifest,
    write_manifest as write_manifest,
)
from .errors import (
    MicromimicError as MicromimicError,
)
from .evaluation import (
    Predictions as Predictions,
    compare_runs as compare_runs,
    subject_bootstrap as subject_bootstrap,
    uar as uar,
    uf1 as uf1,
)
from .labels import (
    CELLS as CELLS,
    REGIONS as REGIONS,
    THREE as THREE,
    LabelSet as LabelSet,
)
from .models import (
    list_models as list_models,
    load_model as load_model,
    register as register,
)
from .motion.apex import (
    apex_of_clip as apex_of_clip,
)
from .pipelines.analyze import (
    AnalyzeConfig as AnalyzeConfig,
    analyze as analyze,
)
from .pipelines.experiment import (
    evaluate as evaluate,
)
from .pipelines.live import (
    LiveConfig as LiveConfig,
    live as live,
)
from .pipelines.recognize import (
    recognize as recognize,
)
from .pipelines.sensitivity import (
    SensitivityConfig as SensitivityConfig,
    sensitivity as sensitivity,
)
from .pipelines.spotting import (
    evaluate_spotting as evaluate_spotting,
)
from .pipelines.training import (
    train as train,
)
from .preparation.clip import (
    PrepareConfig as PrepareConfig,
)
from .reports.write import (
    write_analysis as write_analysis,
)
from .results import (
    Analysis as Analysis,
)
from .training.torch_adapter import (
    TorchClassifier as TorchClassifier,
)
from .types import (
    Interval as Interval,
    MicroExpression as MicroExpression,
    Recognition as Recognition,
)
from .workers import (
    Workers as Workers,
)

__version__: str
