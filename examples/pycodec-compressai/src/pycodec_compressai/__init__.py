"""CompressAI's bmshj2018_factorized (Ballé et al. 2018) as a codec of pycodec."""
