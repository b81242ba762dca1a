"""Metrics, one file each: a function from maps, truth, images or networks to scores.

Contract of a module in this folder, found by its name:

``score(<what it needs>, *, settings) -> Scores``   one number an image, or one for all

It is asked once for each of a method's maps, all else being the same, and asks for what it needs by name. ``maps``,
``truth``: those of the explained samples, NumPy (sample, 1, *space). ``images``, ``labels``: of the explained samples
where ``maps`` are asked for too, else of the whole test split. Other names are networks, by their roles, in evaluation
mode. The result is an array with one value a sample, or a mapping from a setting (a percentile, say) to such arrays; a
single value for several samples is a score of all of them.

A score that does not exist is NaN: it is counted and named, never dropped. ``BETTER`` is ``"higher"`` or ``"lower"``,
or ``"middle"`` where the truth itself scores the middle of the range and neither end is better; ``RANGE`` is the least
and the greatest score there can be. The contract tests hold a metric to both.
"""
