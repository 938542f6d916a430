"""`harray cross-validate` as a job on a Ray cluster, with the same arguments.

    ray job submit --working-dir . -- python jobs/cross_validate.py --store s3://BUCKET/store --seeds 3

The driver runs on the head node in a copy of the working directory that goes when the job ends: name data by
absolute paths or URIs that every node sees. Output goes to HARRAY_OUT, by default ~/harray-out on the head.
"""

import os
import sys
from pathlib import Path

from harray.cli import main

if __name__ == "__main__":
    os.environ.setdefault("HARRAY_OUT", str(Path.home() / "harray-out"))
    main(["cross-validate", *sys.argv[1:]])
