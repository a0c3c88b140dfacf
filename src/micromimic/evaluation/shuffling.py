"""`evaluation.audit` under a former name: a fold trains on ``shuffled_within(its part, order)``."""
# until issue 14 is whole

from micromimic.evaluation.audit import shuffled_order, shuffled_within

__all__ = ["shuffled_order", "shuffled_within"]
