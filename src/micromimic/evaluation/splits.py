"""Who is trained on and who is tested; see `core.splits`."""

from micromimic.core.splits import (
    Names,
    Rows,
    Split,
    check_learnable,
    grouped,
    hde,
    hold_out_subjects,
    loso,
)

__all__ = [
    "Names",
    "Rows",
    "Split",
    "check_learnable",
    "grouped",
    "hde",
    "hold_out_subjects",
    "loso",
]
