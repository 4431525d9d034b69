"""Sources: what lies in folders and archives, each photo under a uri of its own, and the bytes of one photo."""
