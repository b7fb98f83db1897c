"""The image codec `gmm`: transforms, a hyperprior, Gaussian mixtures."""
