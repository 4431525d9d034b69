"""The HTML gallery: a folder of static pages that opens from disk, without a server or a network."""
