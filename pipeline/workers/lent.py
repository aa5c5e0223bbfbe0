"""A picture in shared memory that knows where it lies, so that another process can look at it."""

from pipeline.core.arrays import U8
from pipeline.core.picture import Picture
from pipeline.workers.layout import Layout
from pipeline.workers.slots import Loans


class LentPicture:
    """A `Picture` that lies in `slot` of `loans`, in the form that `layout` is."""

    __slots__ = ("_picture", "height", "layout", "loans", "slot", "width")

    def __init__(self, picture: Picture, loans: Loans, layout: Layout, slot: int) -> None:
        self._picture = picture
        self.height, self.width = picture.height, picture.width
        self.loans, self.layout, self.slot = loans, layout, slot

    def rgb(self) -> U8:
        """See `Picture.rgb`."""
        return self._picture.rgb()

    def fit(self, height: int, width: int, out: U8 | None = None) -> U8:
        """See `Picture.fit`."""
        return self._picture.fit(height, width, out)

    def luma(self, height: int, width: int) -> U8:
        """See `Picture.luma`."""
        return self._picture.luma(height, width)

    def luma_grid(self, apart_px: int) -> U8:
        """See `Picture.luma_grid`."""
        return self._picture.luma_grid(apart_px)
