"""WebShop: the shop that ships with the package, its generator, scripted shoppers."""
