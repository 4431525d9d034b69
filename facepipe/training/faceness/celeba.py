"""CelebA's attributes: which of forty properties each face has, from `list_attr_celeba.txt`.

Source: Liu, Luo, Wang and Tang, "Deep Learning Face Attributes in the Wild", ICCV 2015; the grouping by parts is that
of Yang et al. 2015 (faceness), table 1.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facepipe.errors import WrongUsageError

# Attributes that tell of a part, in the order in which that part's network answers.
PART_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "hair": (
        "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Bald",
        "Wavy_Hair", "Straight_Hair", "Receding_Hairline", "Bangs",
    ),
    "eyes": ("Bushy_Eyebrows", "Arched_Eyebrows", "Narrow_Eyes", "Bags_Under_Eyes", "Eyeglasses"),
    "nose": ("Big_Nose", "Pointy_Nose"),
    "mouth": ("Big_Lips", "Mouth_Slightly_Open", "Smiling", "Wearing_Lipstick"),
    "beard": ("No_Beard", "Goatee", "5_o_Clock_Shadow", "Mustache", "Sideburns"),
}  # fmt: skip
ATTRIBUTES = tuple(name for names in PART_ATTRIBUTES.values() for name in names)


def read_attributes(file: Path) -> dict[str, NDArray[np.int8]]:
    """Return the attributes of each photo, (25,) int8 in the order of ATTRIBUTES: 1 has it, -1 has it not.

    Args:
        file: the number of photos on the first line, the attributes' names on the second, then a photo a line:
            `000001.jpg -1 1 …`.

    Raises:
        WrongUsageError: the file can't be read, lacks an attribute or a line, or a value is neither -1 nor 1.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsageError(f"{file} is not readable: {error}") from error
    if len(lines) < 2 or not lines[0].strip().isdigit():
        raise WrongUsageError(
            f"{file} is no list of CelebA's attributes: its first line should be the number of photos"
        )
    names = lines[1].split()
    if missing := [name for name in ATTRIBUTES if name not in names]:
        raise WrongUsageError(f"{file} lacks the attribute {missing[0]!r} on its second line")
    chosen = [names.index(name) for name in ATTRIBUTES]
    found = {}
    for number, line in enumerate(lines[2:], 3):
        photo, *values = line.split() or [""]
        if not photo:
            continue
        if len(values) != len(names):
            raise WrongUsageError(f"{file}, line {number}: {len(values)} values for {len(names)} attributes")
        if wrong := [value for value in values if value not in ("-1", "1")]:
            raise WrongUsageError(f"{file}, line {number}: {wrong[0]!r} is neither -1 nor 1")
        found[photo] = np.array([int(values[index]) for index in chosen], np.int8)
    if len(found) != int(lines[0]):
        raise WrongUsageError(f"{file} announces {int(lines[0]):,} photos and holds {len(found):,}: is it cut off?")
    return found
