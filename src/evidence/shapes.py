"""The shapes that recur in signatures, as jaxtyping names over any array type (NumPy or torch, so neither is imported).

``*space`` is two axes for slices and three for volumes. The tests check these names at run time; production does not.
"""

from typing import Any

from jaxtyping import Float, Integer, Shaped

Images = Float[Any, "batch channel *space"]  # intensities, usually in [-1, 1]
Maps = Float[Any, "batch 1 *space"]  # attribution, any range, positive where the class is
ManyMaps = Float[Any, "batch map *space"]  # several maps of each image, as a method's MAPS names them
Truth = Shaped[Any, "batch 1 *space"]  # what is known about where the class is: masks or signed effects
Labels = Integer[Any, " batch"]
Logits = Float[Any, "batch classes"]
Values = Float[Any, " batch"]  # one number an image
