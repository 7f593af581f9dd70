"""Getting the programs that the lab is made of."""
