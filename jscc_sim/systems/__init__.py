"""Complete links from a picture to its reception: what sweeps and plots compare."""
