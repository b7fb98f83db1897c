"""The image autoencoder `quantised`: as a codec, and over the air without an entropy code."""
