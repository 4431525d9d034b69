"""What can be chosen of the training of the detector by oriented gradients."""

from dataclasses import dataclass, field

from facepipe.training.hog.windows import Shape
from facepipe.training.photos import Variation
from facepipe.training.recipe import DetectorOptions

FACE_SHARE = 1 / 1.4  # of a window's side that a face's height is: what is around it counts
CELLS = 10  # a side of the window


@dataclass(frozen=True)
class HogOptions(DetectorOptions):
    """What can be chosen.

    Attributes:
        words: of the codebook.
        cell: its side in pixels.
        rounds: of hard background, 0 to 5.
    """

    variation: Variation = field(default_factory=lambda: Variation(turn=8.0, worsen=0.05, grey=0.0))
    words: int = 256
    cell: int = 5
    rounds: int = 3

    @property
    def shape(self) -> Shape:
        """The window's shape."""
        return Shape(self.cell, CELLS, FACE_SHARE)
