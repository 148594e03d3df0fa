"""The report: one self-contained page of tables, figures and examples, with links to the source files."""
