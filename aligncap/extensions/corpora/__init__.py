"""Corpora: a module ``x`` is ``adapter: x``.

It holds ``CORPUS``: ``aligncap.corpora.named.Names`` where labels are in file names, ``aligncap.corpora.tables.Layout``
where tables describe the clips, or a class that takes the root and is an ``aligncap.corpora.base.Adapter``.
"""
