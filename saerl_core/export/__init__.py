"""A plan leaves the house: data, settings and a page for a trainer that keeps a given order."""
