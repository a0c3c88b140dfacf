"""Who is trained on and who is tested; see `core.splits`."""

from micromimic.core.splits import check_learnable, grouped, hde, hold_out_subjects, loso

__all__ = ["check_learnable", "grouped", "hde", "hold_out_subjects", "loso"]
