"""The Python side of ALFWorld: tables of the 120 floor plans, the game generator, and panels of game files."""
