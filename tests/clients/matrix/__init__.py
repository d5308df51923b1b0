"""The matrix of client dialect × upstream wire × feature: a table in plain data, and what runs a cell of it."""
