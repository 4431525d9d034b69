"""What `facepipe doctor` looks at: the machine, the programs, the weights, the library."""
