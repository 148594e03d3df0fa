"""Divergences: a module ``x`` is ``alignment.divergence: x``, with ``teacher.live: true``.

It holds ``divergence(teacher, student)``: log-probabilities ``[N, V]``, fp32, of N response tokens to one value a
token, ``[N]``, nat, 0 where the two are equal. The gradient is wanted of ``student`` alone.
"""
