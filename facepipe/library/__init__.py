"""The library: tables of what is known, made safe against kills and second runs, and what they leave to do."""
