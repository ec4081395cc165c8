"""Makes model packages: reads a checkpoint or a user's own module, writes graphs, weights and a manifest."""
