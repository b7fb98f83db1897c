"""The analog variational autoencoder `vae:N`, and its linear baseline."""
