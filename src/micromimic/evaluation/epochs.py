"""`evaluation.audit` under a former name."""  # until issue 14 is whole

from micromimic.evaluation.audit import EpochRun, best_epoch, epochs_of_run

__all__ = ["EpochRun", "best_epoch", "epochs_of_run"]
