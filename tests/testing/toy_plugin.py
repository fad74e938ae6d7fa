"""The toys as a plugin, one of each kind, and one transform that breaks a rule."""

PYCODEC_TEST_CONFIGS = {
    "quantizer:toy": [{"limit": 5}, {"limit": 1000}],
}


def pycodec_register_transforms(register):
    register("toy", "toys:Transform", aliases=("plaything",))
    register("leaky", "mutants:MeanOfBatch")


def pycodec_register_quantizers(register):
    register("toy", "toys:Quantizer")


def pycodec_register_entropy_models(register):
    register("toy", "toys:EntropyModel")


def pycodec_register_discriminators(register):
    register("toy", "toys:Discriminator")


def pycodec_register_estimators(register):
    register("toy", "toys:Estimator")


def pycodec_register_codecs(register):
    register("toy", "toys:Codec")


def pycodec_register_metrics(register):
    register("toy", "toys:Metric")
