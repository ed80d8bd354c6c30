"""The Python side of the MiniWorld environments: their textures and meshes, and upstream's keyword options."""
