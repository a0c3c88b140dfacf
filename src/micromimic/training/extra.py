"""Names of before issue 14."""  # until issue 14 is whole

from micromimic.models.registry import require_extra

__all__ = ["require_extra"]
