"""Small distributions with plugins, one good and the others each faulty in its own way."""

# Distribution -> module of its plugin. The entry point is called like the distribution.
PLUGINS = {
    "acme": """
        def pycodec_register_transforms(register):
            register("identity", "acme_parts:Identity", summary="passes images on", aliases=("nothing",))

        def pycodec_register_codecs(register):
            register("tiny", "acme_parts:no_such_factory", summary="a toy")

        def pycodec_register_commands(cli):
            cli.lazy_command("greet", "acme_parts:greet", "Say hello.")
        """,
    "broken-import": """
        import a_module_nobody_has
        """,
    "fails-in-command": """
        def pycodec_register_metrics(register):
            register("gone-with-its-plugin", "somewhere:Metric")

        def pycodec_register_commands(cli):
            cli.lazy_command("half-made", "somewhere:command", "Never seen.")
            raise RuntimeError("no display")
        """,
    "misspelt-hook": """
        def pycodec_register_codec(register):
            register("never", "somewhere:create")

        def pycodec_register_metrics(register):
            register("never", "somewhere:Metric")
        """,
    "of-tomorrow": """
        PYCODEC_API = 99

        def pycodec_register_holograms(register):
            register("never", "somewhere:create")
        """,
    "taken-name": """
        def pycodec_register_codecs(register):
            register("enormous", "somewhere:create")
            register("tiny", "somewhere:create")
        """,
    "wrong-argument": """
        def pycodec_register_codecs(registry):
            registry("never", "somewhere:create")
        """,
}

PARTS = '''
import click
import numpy  # heavy: only imported when a component is made


class Identity:
    stride = 1
    channels = 3

    def __init__(self, gain=1.0):
        self.gain = gain

    def analysis(self, x, quality):
        return x

    def synthesis(self, y, quality):
        return y

    def config(self):
        return {"gain": self.gain}


@click.command("greet")
def greet():
    """Say hello."""
    click.echo("hello")
'''

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "1.5"

[project.entry-points.pycodec]
{name} = "{module}"

[tool.setuptools]
py-modules = {modules}
"""
