"""Codecs whose latents are Gaussian given a hyper-latent (Ballé et al. 2018, Minnen et al. 2018)."""
