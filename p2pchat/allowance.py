"""How often something may happen."""

from __future__ import annotations

import attrs


@attrs.define
class Allowance:
    """So many per second and no more. Whoever limits something owns one.

    :param per_second: how many are allowed in any second that starts with one of them.
    """

    per_second: int
    #: What was asked for beyond the allowance.
    refused: int = 0
    _since_s: float = float("-inf")
    _taken: int = 0

    def take(self, now_s: float) -> bool:
        """Whether one more is allowed at *now_s*, in seconds of any one clock."""
        if now_s - self._since_s >= 1.0:
            self._since_s, self._taken = now_s, 0
        if self._taken >= self.per_second:
            self.refused += 1
            return False
        self._taken += 1
        return True
