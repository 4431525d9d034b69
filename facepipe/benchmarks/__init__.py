"""How fast this project is beside others: the same work on the same machine, in turns."""
