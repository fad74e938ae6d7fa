"""Many files at once: folders compressed to .pci files, or .pci files turned back into images.

>>> from pycodec import batch
>>> summary = batch.run(["photographs"], "compressed", quality=5)
>>> batch.run(["compressed"], "back", image_format="webp").errors
[]

What was done is written to ``OUT/manifest.jsonl``, a line a file, and a run that was killed goes on from it.
In a script, ``run`` belongs under ``if __name__ == "__main__":``, since worker processes import the script.
"""

from pycodec.batch.manifest import Record
from pycodec.batch.runner import Progress, Summary, run

__all__ = ["Progress", "Record", "Summary", "run"]
