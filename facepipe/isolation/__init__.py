"""Work on hostile bytes in a process of its own, which may hang, die or run out of memory without harm."""
