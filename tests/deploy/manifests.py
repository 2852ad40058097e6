#!/usr/bin/env python3
"""Checks docker/kubernetes and docker/compose.yml: against published schemas, and that what one file names is there in the other.

    manifests.py [directory]      default: docker/ of this checkout

Kubernetes' own kinds by kubernetes-validate (the schemas of its releases, strict), Velero's and the Prometheus operator's by
models made of their definitions, compose by compose-spec. CloudNativePG's kinds are held against declarations that a tool has made of its
definitions: fields, which of them are required, types and choices. scripts/setup.sh brings all of them.
"""
import importlib
import pathlib
import re
import sys

import compose_spec
import kubernetes_validate
import yaml

KUBERNETES = ["1.30", "1.37"]
DEFINITIONS = pathlib.Path(__file__).parents[2] / "target/tools/cloudnative-pg/definitions.d.ts"
problems = []


def problem(where, what):
    problems.append(f"{where}: {what}")


class Declarations:
    """Interfaces, enumerations and classes of TypeScript, as a generator writes them: the name of a field is in the comment before it."""

    FIELD = re.compile(r"@schema \w+#(\S+)\s*\*/\s*readonly \w+(\??): (\{[^}]*\}|[^;{]+);")
    TYPES = {"string": str, "number": (int, float), "boolean": bool}

    def __init__(self, text):
        self.types = {name: (kind, body) for kind, name, body in re.findall(r"^export (interface|declare enum|declare class) (\w+)[^{]*\{(.*?)^\}", text, re.M | re.S)}

    def check(self, where, value, declared):
        declared = declared.strip()
        if declared.endswith("[]"):
            if not isinstance(value, list):
                return problem(where, f"{value!r} is no list")
            for number, item in enumerate(value):
                self.check(f"{where}[{number}]", item, declared[:-2])
        elif declared.startswith("{"):
            if not isinstance(value, dict):
                return problem(where, f"{value!r} is no object")
            for name, item in value.items():
                self.check(f"{where}.{name}", item, re.search(r"\]: (\w+)", declared)[1])
        elif declared in self.TYPES:
            if not isinstance(value, self.TYPES[declared]) or isinstance(value, bool) and declared != "boolean":
                problem(where, f"{value!r} is no {declared}")
        elif declared != "any":
            self.check_named(where, value, declared)

    def check_named(self, where, value, name):
        kind, body = self.types[name]
        if kind == "declare enum":
            choices = re.findall(r'= "(.*?)"', body)
            if value not in choices:
                problem(where, f"{value!r} is none of {choices}")
        elif kind == "declare class":
            # A number or a text.
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                problem(where, f"{value!r} is neither number nor text")
        elif not isinstance(value, dict):
            problem(where, f"{value!r} is no object")
        else:
            fields = {field: (optional, declared) for field, optional, declared in self.FIELD.findall(body)}
            for field, (optional, _) in fields.items():
                if not optional and field not in value:
                    problem(where, f"there is no {field}")
            for field, item in value.items():
                if field in fields:
                    self.check(f"{where}.{field}", item, fields[field][1])
                else:
                    problem(where, f"unknown field {field}")


def check_cloudnative_pg(document, where):
    if set(document) != {"apiVersion", "kind", "metadata", "spec"}:
        problem(where, f"has {sorted(document)}")
    if DEFINITIONS.exists():
        Declarations(DEFINITIONS.read_text()).check_named(where, document["spec"], document["kind"] + "Spec")
    else:
        print(f"{where}: not checked, the definitions are not there")


def lost(given, kept, where):
    """What a model does not know it drops."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for name, value in given.items():
            if name in kept:
                lost(value, kept[name], f"{where}.{name}")
            else:
                problem(where, f"unknown field {name}")
    elif isinstance(given, list) and isinstance(kept, list):
        for number, (one, other) in enumerate(zip(given, kept, strict=True)):
            lost(one, other, f"{where}[{number}]")


def modelled(module, document, where):
    model = getattr(importlib.import_module(module), document["kind"])
    try:
        kept = model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
    except ValueError as error:
        problem(where, error)
    else:
        lost(document, kept, where)


def check_document(document, where):
    group = document["apiVersion"]
    if group == "postgresql.cnpg.io/v1":
        check_cloudnative_pg(document, where)
    elif group == "velero.io/v1":
        modelled("cloudcoil.models.velero.v1", document, where)
    elif group == "monitoring.coreos.com/v1":
        modelled("cloudcoil.models.prometheus_operator.v1", document, where)
    else:
        for release in KUBERNETES:
            try:
                kubernetes_validate.validate(document, release, strict=True)
            except kubernetes_validate.ValidationError as error:
                problem(f"{where} ({release})", f"{list(error.path)}: {error.message}")


def inside(value, key):
    """All values of a key, however deep."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name == key:
                yield item
            yield from inside(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from inside(item, key)


def check_references(documents, docker):
    """What a manifest names is in the manifests or in the image."""
    names = {(d["kind"], d["metadata"]["name"]) for d in documents}
    shipped = {f"/usr/local/bin/{f.name}" for f in (docker / "scripts").glob("*.sh")}
    of_server = {"pg_isready", "/bin/sh"}
    for document in documents:
        where = f"{document['kind']} {document['metadata']['name']}"
        for pod in [t["spec"] for t in inside(document, "template") if "containers" in t.get("spec", {})]:
            volumes = {v["name"] for v in pod.get("volumes", [])}
            volumes |= {c["metadata"]["name"] for t in inside(document, "volumeClaimTemplates") for c in t}
            for container in pod["containers"]:
                for mount in container.get("volumeMounts", []):
                    if mount["name"] not in volumes:
                        problem(where, f"there is no volume {mount['name']}")
                security = container.get("securityContext", {})
                if security.get("allowPrivilegeEscalation") is not False or security.get("capabilities") != {"drop": ["ALL"]}:
                    problem(where, f"{container['name']} keeps rights")
                if "memory" not in container.get("resources", {}).get("limits", {}):
                    problem(where, f"{container['name']} has no limit of memory")
                if not re.fullmatch(r"registry\.example\.com/memory-(postgres|exporter):[0-9.-]+", container["image"]):
                    problem(where, f"image {container['image']}")
            if pod.get("securityContext", {}).get("runAsNonRoot") is not True:
                problem(where, "may run as root")
        for command in inside(document, "command"):
            if command[0] not in shipped | of_server:
                problem(where, f"the image has no {command[0]}")
        for claim in inside(document, "persistentVolumeClaim"):
            if ("PersistentVolumeClaim", claim["claimName"]) not in names:
                problem(where, f"there is no claim {claim['claimName']}")
        for name in inside(document, "serviceName"):
            if ("Service", name) not in names:
                problem(where, f"there is no service {name}")
        for queries in inside(document, "customQueriesConfigMap"):
            for query in queries:
                if ("ConfigMap", query["name"]) not in names:
                    problem(where, f"there is no ConfigMap {query['name']}")
        for schedule in inside(document, "schedule"):
            fields = 6 if document["apiVersion"].startswith("postgresql.cnpg.io") else 5
            if len(schedule.split()) != fields:
                problem(where, f"schedule {schedule!r} has not {fields} fields")
        for namespace in {document["metadata"].get("namespace")} - {"memory", "velero"}:
            problem(where, f"namespace {namespace}")


def check_compose(docker):
    # Variables have their defaults.
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (docker / "compose.yml").read_text())
    try:
        compose = compose_spec.PyCompose.from_yaml(yaml.safe_dump(yaml.safe_load(text)))
        compose.validate()
    except ValueError as error:
        return problem("compose.yml", error)
    compose = yaml.safe_load(text)
    for name, service in compose["services"].items():
        where = f"compose.yml, {name}"
        if service.get("cap_drop") != ["ALL"] or service.get("security_opt") != ["no-new-privileges:true"]:
            problem(where, "keeps rights")
        image = service["image"].rsplit(":", 1)
        if len(image) != 2 or image[1] == "latest":
            problem(where, "its image has no version")
        if "build" in service:
            context = docker / service["build"]["context"]
            if not (context / service["build"]["dockerfile"]).is_file():
                problem(where, "there is no Dockerfile")
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("."):
                if not (docker / source).exists():
                    problem(where, f"there is no {source}")
            elif source not in compose["volumes"]:
                problem(where, f"there is no volume {source}")
        for port in service.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                problem(where, f"port {port} is open to everybody")
        for secret in service.get("secrets", []):
            if secret not in compose["secrets"]:
                problem(where, f"there is no secret {secret}")
        for variable in inside(service, "environment"):
            for value in variable.values():
                if str(value).startswith("/run/secrets/") and value.removeprefix("/run/secrets/") not in service.get("secrets", []):
                    problem(where, f"{value} is not mounted")
        for other in service.get("depends_on", []):
            if other not in compose["services"]:
                problem(where, f"there is no service {other}")


def main(docker=pathlib.Path(__file__).parents[2] / "docker"):
    docker = pathlib.Path(docker)
    documents = []
    for file in sorted((docker / "kubernetes").glob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            check_document(document, f"{file.name}, {document['kind']} {document['metadata']['name']}")
            documents.append(document)
    check_references(documents, docker)
    check_compose(docker)
    for line in problems:
        print(line, file=sys.stderr)
    print(f"{len(documents)} manifests and compose.yml: {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
