from . import (
    datasets as datasets,
    evaluation as evaluation,
    models as models,
    spotting as spotting,
    synthesis as synthesis,
)
from .analysis.analyze import (
    AnalyzeConfig as AnalyzeConfig,
    analyze as analyze,
)
from .analysis.live.session import (
    LiveConfig as LiveConfig,
    live as live,
)
from .analysis.long_videos.run import (
    evaluate_spotting as evaluate_spotting,
)
from .analysis.recognize import (
    recognize as recognize,
)
from .analysis.sensitivity.run import (
    SensitivityConfig as SensitivityConfig,
    sensitivity as sensitivity,
)
from .core.errors import (
    MicromimicError as MicromimicError,
)
from .core.labels import (
    CELLS as CELLS,
    REGIONS as REGIONS,
    THREE as THREE,
    LabelSet as LabelSet,
)
from .core.results import (
    Analysis as Analysis,
)
from .core.types import (
    Interval as Interval,
    MicroExpression as MicroExpression,
    Recognition as Recognition,
)
from .core.workers import (
    Workers as Workers,
)
from .datasets import (
    read_manifest as read_manifest,
    write_manifest as write_manifest,
)
from .evaluation import (
    Predictions as Predictions,
    compare_runs as compare_runs,
    subject_bootstrap as subject_bootstrap,
    uar as uar,
    uf1 as uf1,
)
from .evaluation.evaluate import (
    evaluate as evaluate,
)
from .evaluation.train import (
    train as train,
)
from .models import (
    list_models as list_models,
    load_model as load_model,
    register as register,
)
from .models.training.torch_adapter import (
    TorchClassifier as TorchClassifier,
)
from .motion.apex import (
    apex_of_clip as apex_of_clip,
)
from .preparation.clip import (
    PrepareConfig as PrepareConfig,
)
from .report.write import (
    write_analysis as write_analysis,
)

__version__: str
