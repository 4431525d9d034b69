"""From embeddings to people: neighbours, spanning forest, hierarchy, constraints, identities."""
