"""Result tables: the zero-shot table, and tables 1 to 4 derived from it, with paired tests."""
