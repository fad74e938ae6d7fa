"""Windows of a latent: what parts of a large image are worked on one by one.

What is computed from a neighbourhood of `halo` positions is the same in a window as in the whole, but for a
margin of that width where the window was cut; at the edges of the whole there is none. So each tile is
computed with a halo around it, which is then dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Window:
    """Rows ``top`` to ``bottom`` and columns ``left`` to ``right``, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    def grown(self, halo: int, within: Window) -> Window:
        """With so many more positions on each side, as far as there are any."""
        return Window(
            max(self.top - halo, within.top),
            min(self.bottom + halo, within.bottom),
            max(self.left - halo, within.left),
            min(self.right + halo, within.right),
        )

    def common(self, other: Window) -> Window:
        """What is in both, which must overlap."""
        return self.grown(0, other)

    def scaled(self, factor: int) -> Window:
        """The same in units that are so many times finer."""
        return Window(*(factor * side for side in (self.top, self.bottom, self.left, self.right)))

    def covering(self, stride: int) -> Window:
        """The same in units that are ``stride`` times coarser, partly covered ones included."""
        return Window(
            self.top // stride, -(-self.bottom // stride), self.left // stride, -(-self.right // stride)
        )

    def within(self, other: Window) -> tuple[slice, slice]:
        """Slices of the rows and columns of an array of ``other`` that hold this window."""
        return (
            slice(self.top - other.top, self.bottom - other.top),
            slice(self.left - other.left, self.right - other.left),
        )

    def tiles(self, most: int) -> list[Window]:
        """This window in parts of at most ``most`` positions, all of nearly one size, row by row."""
        rows = columns = 1
        while -(-self.height // rows) * -(-self.width // columns) > max(1, most):
            if self.height * columns >= self.width * rows:
                rows += 1
            else:
                columns += 1
        return [
            Window(top, bottom, left, right)
            for top, bottom in _cuts(self.top, self.bottom, rows)
            for left, right in _cuts(self.left, self.right, columns)
        ]


def _cuts(begin: int, end: int, parts: int) -> list[tuple[int, int]]:
    length = end - begin
    edges = [begin + length * i // parts for i in range(parts + 1)]
    return list(pairwise(edges))
