"""Preference losses: a module ``x`` is ``preference.loss: x``.

It holds ``loss(settings, batch)``: an ``aligncap.config.PreferenceTraining`` and an
``aligncap.preference.train.Scored`` of B pairs to one value a pair, ``[B]``, nat. The RPO term is added to it.
"""
