"""How far from the limit: Res-hyper and Res-context (Zhang and Liu 2025)."""
