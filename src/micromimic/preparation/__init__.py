"""From the clips of a manifest to what models see: apex, face crops, volumes, flow maps."""
