"""Class activation mapping (Zhou et al., 2016, section 2): features in front of a global average, weighted for a class.

VA-GAN (Baumgartner et al., 2018) compares with it in Tables 1 and 2, by its positive part.
"""

from typing import Literal

from torch.nn.functional import interpolate, pad

from evidence.networks.blocks import INTERPOLATION
from evidence.networks.c3d import Classifier, class_activation
from evidence.networks.lean import MaxPool
from evidence.shapes import Images, Maps

PADDING = {"zero": "constant", "edge": "replicate"}


def attribute(
    images: Images, classifier: Classifier, *, label: int = 1, border: Literal["zero", "edge"] = "zero"
) -> Maps:
    """The activation map in the size of the image, by linear interpolation, and of that the positive part.

    A feature lies in the middle of the pixels that were pooled into it. Where pooling rounded an odd size up, its last
    pixels lie outside of the image, and are cut off.

    Args:
        label: class whose evidence is sought.
        border: what is assumed outside of the map: ``zero``, which darkens its rim as skimage did in the released code,
            or the value at the ``edge``, as torch does.
    """
    scores = class_activation(classifier, images, label)  # (batch, 1, *cells)
    cell = 2 ** sum(isinstance(layer, MaxPool) for layer in classifier.trunk)
    space = images.shape[2:]
    framed = pad(scores, (1, 1) * len(space), mode=PADDING[border])
    enlarged = interpolate(framed, scale_factor=cell, mode=INTERPOLATION[len(space)])
    inside = (slice(cell, cell + size) for size in space)  # without the frame
    return enlarged[(..., *inside)].clamp(min=0)
