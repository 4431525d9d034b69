"""The library: tables of what is known, made safe against kills and second runs, and scans of what is new."""
