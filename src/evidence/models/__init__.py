"""Models, one file each: what learns, and how.

A file has ``NETWORKS``, the names of what may be saved; where some of it is on request only ``ON_REQUEST``, network →
the hyperparameter that asks for it; and ``class Learner(training.Learner)``. Its constructor takes
the shape of an image (channels and size), the networks it needs by their role, and hyperparameters by keyword; it sets
``optimisers``, ``batch``, ``steps`` and ``validate_every``; ``by_class`` says whether batches are pairs of images, of
class 0 and of class 1, or images with their labels. Its methods: ``networks``, what is saved, by name;
``step(batches, i)``, one step, which returns the terms of its losses; and where wanted ``validate(samples, i)``,
``draws(i)``, the batches of a step, ``pool(samples)``, what of the training set it learns from, and ``finished(i)``.
"""
