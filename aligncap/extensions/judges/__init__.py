"""Judges: a module ``x`` is ``preference.judge.name: x``, and may stand in ``judging``.

It holds ``score(settings, items)``: an ``aligncap.config.Judge`` and ``aligncap.preference.facts.Item`` objects to as
many ``Opinion`` objects, scores 1-5, in their order.
"""
