"""Attribution methods, one file each: a function from images and trained networks to maps.

Contract of a module in this folder, found by its name:

``attribute(images, <networks>, *, hyperparameters) -> Maps``, or ``-> (Maps, columns)``

- ``images`` are float32 tensors (batch, channel, *space) on the device that the networks are on. A method that draws
  random numbers also asks for ``streams``, a list with one integer seed an image, so that a map does not depend on the
  batch it was made in.
- One that takes pixels from other images asks for ``donors``: those of the test split, NumPy (image, channel, *space).
- Every other positional parameter is a network, by the role it plays (``classifier``, ``generator``); one with a
  default may be left out. Networks arrive in evaluation mode with frozen weights, their batch normalisations folded
  into other layers but for the roles in ``UNFOLDED``, and leave as they came: no hook, gradient or mode stays behind.
- A method that takes minutes an image says in ``AT_ONCE`` how many it is given at a time; then it can be stopped.
- Maps are float32 (batch, 1, *space), oriented so that evidence for the class of interest is positive, after the
  convention that the paper scores (absolute value, positive part, signed).
- A method that draws several maps at the cost of one names them in ``MAPS`` and returns them as (batch, map, *space);
  papers ask for one as ``label.map``.
- ``columns`` are what the method measures of itself: name → one number an image, tensors of any precision.

Keyword-only parameters are the hyperparameters; their defaults are the paper's.
"""
