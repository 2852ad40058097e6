#!/usr/bin/env python3
"""Prints PGXN's META.json, or one field of it, from Cargo.toml.

    meta.py repository [maintainer | description]
"""
import json
import pathlib
import subprocess
import sys


def packages(repository):
    said = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path", repository / "Cargo.toml"],
        check=True, capture_output=True, text=True,
    )
    return {package["name"]: package for package in json.loads(said.stdout)["packages"]}


def meta(package):
    name, version = package["name"], package["version"]
    servers = sorted(int(feature[2:]) for feature in package["features"] if feature.startswith("pg") and feature[2:].isdigit())
    return {
        "name": name,
        "abstract": package["description"],
        "description": f"{package['description']}: adding, searching, expiring, sharing and auditing the memories of agents, with functions in SQL, in ordinary tables.",
        "version": version,
        "maintainer": package["authors"],
        # PGXN's name of the licence.
        "license": {"PostgreSQL": "postgresql"}[package["license"]],
        "generated_by": "scripts/meta.py",
        "provides": {
            name: {"abstract": package["description"], "file": f"sql/{name}--{version}.sql", "docfile": "README.md", "version": version}
        },
        "prereqs": {
            "runtime": {"requires": {"PostgreSQL": f"{servers[0]}.0.0", "vector": "0.8.0"}},
            "build": {"requires": {"PostgreSQL": f"{servers[0]}.0.0"}},
        },
        "tags": ["memory", "agents", "vector", "search", "embeddings", "audit"],
        "release_status": "stable",
        "meta-spec": {"version": "1.0.0", "url": "https://pgxn.org/meta/spec.txt"},
    }


def main(repository, field=None):
    package = packages(pathlib.Path(repository))["memory_ext"]
    if field == "maintainer":
        print(", ".join(package["authors"]))
    elif field == "description":
        print(package["description"])
    else:
        print(json.dumps(meta(package), indent=2))


if __name__ == "__main__":
    main(*sys.argv[1:])
