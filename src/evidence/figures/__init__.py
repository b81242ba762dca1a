"""Figures, one file each: a function from arrays to a matplotlib figure.

Contract of a module in this folder, found by its name:

``draw(<what it needs>, *, settings) -> Figure``

It asks for what it needs by name: ``images`` and ``truth`` (all samples, memory maps; ``truth`` is None where none is
known), ``index`` (all samples), ``maps`` (heading → maps of the explained samples, of the first seed), ``histories``
and ``scores`` (heading → list of tables, one a seed, the first first; of its ``metric``, and none where a paper names
none). Scores have the headings of their maps; but where they are of a method as a whole, and a figure shows its maps
too, they have one heading, the method's label.
"""
