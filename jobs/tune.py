"""`harray tune` as a job on a Ray cluster, with the same arguments.

    ray job submit --working-dir . -- python jobs/tune.py --store s3://BUCKET/store --search all --trials 100 \
        --out s3://BUCKET/out --tracking-uri http://HEAD:5000

Stopped by `ray job stop`, or killed, it is gone on with by the same command and --resume.

The driver runs on the head node in a copy of the working directory that goes when the job ends: name data by
absolute paths or URIs that every node sees. Trials keep their state under the output folder, which every node must
see too: name it by --out or HARRAY_OUT, by default ~/harray-out.
"""

import os
import sys
from pathlib import Path

from harray.cli import main

if __name__ == "__main__":
    os.environ.setdefault("HARRAY_OUT", str(Path.home() / "harray-out"))
    main(["tune", *sys.argv[1:]])
