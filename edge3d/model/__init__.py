"""What a network's numbers mean: the contract, the parameter layout, the decoder."""
