"""Names of before issue 14."""  # until issue 14 is whole

from micromimic.models.base import EarlyStopping, FitOptions, FitRun, Init
from micromimic.models.samples import Encoder, Report, Samples, View, softmax

__all__ = [
    "EarlyStopping",
    "Encoder",
    "FitOptions",
    "FitRun",
    "Init",
    "Report",
    "Samples",
    "View",
    "softmax",
]
