# SPDX-License-Identifier: Apache-2.0
"""Wraps one layer as an image archive that `ctr images import` and `docker load` accept.

The archive is an OCI layout with a manifest.json beside it for older loaders. Everything in it
follows from the arguments, so the digest of the manifest, which the image store shows, tells
whether exactly this archive was loaded.
"""

import argparse
import hashlib
import io
import json
import tarfile

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sha256_of_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def encode(value):
    return json.dumps(value, sort_keys=True).encode()


def blob_path(data):
    return "blobs/sha256/" + hashlib.sha256(data).hexdigest()


def add_bytes(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def image_config(arguments, layer_digest):
    config = {"Entrypoint": json.loads(arguments.entrypoint), "Env": ["PATH=" + PATH]}
    if arguments.user:
        config["User"] = arguments.user
    return encode({
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + layer_digest]},
        "history": [{"created_by": "hack/images"}],
    })


def descriptor(media_type, digest, size):
    return {"mediaType": media_type, "digest": "sha256:" + digest, "size": size}


def write_archive(arguments):
    layer_digest = sha256_of_file(arguments.layer)
    layer_path = "blobs/sha256/" + layer_digest
    with tarfile.open(arguments.output, "w") as archive:
        layer = archive.gettarinfo(arguments.layer, layer_path)
        layer.mtime = layer.uid = layer.gid = 0
        layer.uname = layer.gname = ""
        config = image_config(arguments, layer_digest)
        manifest = encode({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, hashlib.sha256(config).hexdigest(), len(config)),
            "layers": [descriptor(LAYER_TYPE, layer_digest, layer.size)],
        })
        entry = descriptor(MANIFEST_TYPE, hashlib.sha256(manifest).hexdigest(), len(manifest))
        entry["annotations"] = {
            "io.containerd.image.name": arguments.name,
            "org.opencontainers.image.ref.name": arguments.name.rpartition(":")[2],
        }
        index = {"schemaVersion": 2, "manifests": [entry]}
        legacy = [{"Config": blob_path(config), "RepoTags": [arguments.name],
                   "Layers": [layer_path]}]
        # The small files come first: a reader of the archive finds them without passing the layer.
        add_bytes(archive, "oci-layout", encode({"imageLayoutVersion": "1.0.0"}))
        add_bytes(archive, "index.json", encode(index))
        add_bytes(archive, "manifest.json", encode(legacy))
        add_bytes(archive, blob_path(manifest), manifest)
        add_bytes(archive, blob_path(config), config)
        with open(arguments.layer, "rb") as file:
            archive.addfile(layer, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", required=True, help="tar of the root filesystem")
    parser.add_argument("--name", required=True, help="name:tag of the image")
    parser.add_argument("--entrypoint", required=True, help="JSON list")
    parser.add_argument("--user", default="", help="uid[:gid] that processes start as")
    parser.add_argument("--output", required=True)
    write_archive(parser.parse_args())


if __name__ == "__main__":
    main()
