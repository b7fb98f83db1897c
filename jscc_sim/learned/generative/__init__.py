"""The receiver `generative`: a learned prior of photographs for frames of the linear zoo."""
