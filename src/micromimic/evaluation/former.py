"""How the first version called ``evaluate`` and ``train``: still understood, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def former_call(
    is_former: Callable[[tuple[Any, ...]], bool], do: Callable[..., Any], now: str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Understand a call as the first version had it."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            if not is_former(args):
                return function(*args, **kwargs)
            warnings.warn(f"this call is going: {now}", DeprecationWarning, stacklevel=2)
            result: R = do(*args, **kwargs)
            return result

        return called

    return decorate
