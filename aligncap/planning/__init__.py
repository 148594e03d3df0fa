"""What an experiment will cost, before it is run: arithmetic on the configuration and on the real shapes of its models.

``published`` has the shapes of known models, and ``shapes`` builds them on the meta device. ``assumptions`` names what
cannot be known, ``costs`` has the formulas. ``setting`` joins these with the configuration; ``steps``, ``stages``,
``sizes`` and ``judging`` add them up for an experiment, and ``report`` makes the tables.
"""
