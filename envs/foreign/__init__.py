"""Environments that are not ours: Gymnasium's in worker processes, and EnvPool's."""
