"""What pycodec imports: the names of the components, and where to find them once they are used."""

from __future__ import annotations

PYCODEC_API = 1  # version of the plugin interface this is written for
HERE = "pycodec_gdn_factorized"

# What the conformance kit makes components with, where there is an argument without default.
PYCODEC_TEST_CONFIGS = {"entropy_model:factorized_density": [{"channels": 4}]}


def pycodec_register_transforms(register):
    register(
        "gdn_conv",
        f"{HERE}.transform:GDNTransform",
        summary="strided convolutions with generalised divisive normalisation (Ballé et al. 2017)",
    )


def pycodec_register_entropy_models(register):
    register(
        "factorized_density",
        f"{HERE}.prior:FactorizedPrior",
        summary="a learned density per channel (Ballé et al. 2018), integer tables in files",
    )


def pycodec_register_codecs(register):
    register(
        "gdn_factorized",
        f"{HERE}.codec:create",
        summary="example: GDN transform, factorized prior, one network for all rates",
    )
