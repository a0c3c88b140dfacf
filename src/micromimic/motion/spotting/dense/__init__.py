"""Movements of the whole face against its own noise: what the ten cells are too coarse for.

`measure` takes the stabilised face of each frame and gives what came and went around it, in the
space that action units span; `noise` judges that against the face's own movement in the seconds
around; `candidates` reads off movements and the detection limit; `look` looks at each again.
"""
