"""What an experiment will cost, before it is run: arithmetic on the configuration and on the real shapes of its models.

``published`` has the shapes of known models, ``shapes`` builds them on the meta device, ``assumptions`` names what
cannot be known, ``costs`` has the formulas, and ``budget`` adds them up for an experiment.
"""
