"""`evaluation.audit` under a former name."""  # until issue 14 is whole

from micromimic.evaluation.audit import REQUIRED, is_epochs_table, read_epochs, write_epochs

__all__ = ["REQUIRED", "is_epochs_table", "read_epochs", "write_epochs"]
