"""Where those wait who have come in and not said yet what they want."""

from __future__ import annotations

from collections.abc import Callable


class Lobby:
    """So many may wait; when one more comes, the longest waiting is sent away.

    Turning the newcomer away instead would let a few silent ones lock everybody out. Used on one
    event loop.

    Args:
        most: that may wait.

    >>> gone = []
    >>> lobby = Lobby(2)
    >>> for who in "abc":
    ...     lobby.enter(who, lambda who=who: gone.append(who))
    >>> gone, len(lobby)
    (['a'], 2)
    >>> lobby.leave("b")
    >>> lobby.enter("d", lambda: None)
    >>> gone
    ['a']
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[object, Callable[[], object]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, who: object, send_away: Callable[[], object]) -> None:
        """Begin to wait.

        Args:
            who: anything that can be told from the others.
            send_away: called at most once, when others need the place.
        """
        while len(self._waiting) >= self._most:
            longest = next(iter(self._waiting))
            self._waiting.pop(longest)()
        self._waiting[who] = send_away

    def leave(self, who: object) -> None:
        """It has said what it wants, or is gone; may be called again."""
        self._waiting.pop(who, None)
