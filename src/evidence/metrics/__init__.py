"""Metrics, one file each: a function from maps, truth, images, networks or what a method measured to scores.

Contract of a module in this folder, found by its name:

``score(<what it needs>, *, settings) -> Scores``   one number an image, or one for all

It is asked once for each of a method's maps, all else being the same, and asks for what it needs by name. ``maps``,
``truth``: those of the explained samples, NumPy (sample, 1, *space). ``samples``: the method's table, one row an
explained sample; a metric that asks for it and for no maps is asked once a method. ``images``, ``labels``: of the
explained samples where ``maps`` or ``samples`` are asked for too, else of the whole test split. ``training``: the
images of the training split, for floors. Other names are networks, by their roles, in evaluation mode. The result is an
array with one value a sample, or several (sample, value), or a mapping from a setting (a percentile, say) to such
arrays; values in another number are scores of all samples, repeats if there are several, and so are all those of a
metric that asks for networks alone.

A score that does not exist is NaN: it is counted and named, never dropped. Where a method's table has a column
``valid`` that is 0, the map of that sample means nothing, and the sample's score does not exist; a metric that asks for
``samples`` sees to that itself. Such a metric names in ``COLUMNS`` the columns that it reads, and in ``METHODS`` the
kinds of methods that write them.

``BETTER`` is ``"higher"`` or ``"lower"``, or ``"middle"`` where the truth itself scores the middle of the range and
neither end is better; ``RANGE`` is the least and the greatest score there can be. The contract tests hold a metric to
both; one whose settings differ in what is better says both of the first, and the others in ``score``'s docstring.
"""
