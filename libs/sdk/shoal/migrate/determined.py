"""A Determined experiment file into ours.

https://docs.determined.ai/latest/reference/training/experiment-config-reference.html
"""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from shoal.migrate.notes import Note, Section
from shoal.migrate.searcher import searcher

Row = dict[str, Any]
_SCRIPT_DECIDES = "the script decides when: it calls run.report and run.checkpoint"
_GONE = {
    "checkpoint_policy": _SCRIPT_DECIDES,
    "data_layer": "the script reads its data itself",
    "debug": "logs always say all that the processes wrote",
    "integrations": "the script reads its data itself",
    "internal": "it is of the other platform's own making",
    "log_policies": "slots on which run after run fails are put aside without a rule",
    "log_retention_days": "logs are kept for 30 days",
    "min_checkpoint_period": _SCRIPT_DECIDES,
    "min_validation_period": _SCRIPT_DECIDES,
    "optimizations": "the script wraps its model itself, e.g. in DistributedDataParallel",
    "pbs": "machines are not started through PBS",
    "perform_initial_validation": _SCRIPT_DECIDES,
    "preemption_timeout": "a run that yields has the scheduler's time to leave, 30 s at least",
    "profiling": "use torch.profiler in the script",
    "records_per_epoch": "the script knows its data",
    "retention_policy": "logs are kept for 30 days",
    "scheduling_unit": _SCRIPT_DECIDES,
    "security": "addresses and certificates are settings of the platform",
    "slurm": "machines are not started through Slurm",
    "tensorboard_storage": "TensorBoard files go where the script writes them",
}
_RESOURCES_GONE = {
    "agent_label": "use resource_pool or resources.slot_type",
    "devices": "ranks see the GPUs of their slots",
    "native_parallel": "one process a slot is started, always",
    "shm_size": "ranks have all of the machine's shared memory",
}
_ENVIRONMENT_GONE = {
    "add_capabilities": "ranks run as the worker's user",
    "drop_capabilities": "ranks run as the worker's user",
    "force_pull_image": "an image is pulled where it is missing: give a new one a new tag",
    "pod_spec": "ranks run in no pod",
    "ports": "ranks have the machine's network: any free port will do",
    "proxy_ports": "ranks have the machine's network: any free port will do",
    "registry_auth": "let docker or podman log in on every machine",
}
_STORAGE_GONE = {
    "access_key": "put credentials where fsspec finds them on every machine",
    "account_url": "put credentials where fsspec finds them on every machine",
    "connection_string": "put credentials where fsspec finds them on every machine",
    "container_path": "",
    "credential": "put credentials where fsspec finds them on every machine",
    "endpoint_url": "set it where fsspec finds it on every machine (AWS_ENDPOINT_URL)",
    "propagation": "nothing is mounted",
    "secret_key": "put credentials where fsspec finds them on every machine",
}
_LAUNCHERS = re.compile(r"determined\.launch\.(torch_distributed|horovod|deepspeed|tensorflow)")
_KINDS = ("cuda", "gpu", "rocm", "cpu")
_SHELL = re.compile(r"[|&;<>$`*]")
_TRIAL_CLASS = re.compile(r"[\w.]+:\w+")


def migrate(document: object, name: str = "migrated") -> tuple[Row, list[Note]]:
    """Our experiment, and what became of what it does not have. `name`: for one without.

    Raises ValueError if the document is no mapping, or one of its sections is none.
    """
    if not isinstance(document, Mapping):
        raise ValueError("the file must be a mapping of fields to values")
    old = Section(dict(document))
    new: Row = {"name": str(old.take("name", name))}
    if description := old.take("description"):
        new["description"] = str(description)
    if labels := _labels(old):
        new["labels"] = labels
    if project := _place(old, "project"):
        new["project"] = project
        old.say("todo", "project", f"see that there is one: shoal project create {project}")
    new["entrypoint"] = _entrypoint(old)
    space = old.section("hyperparameters").values
    if data := old.take("data"):
        space["data"] = {"type": "const", "val": data}
        old.say("changed", "data", "is the hyperparameter `data` now: run.hyperparameters['data']")
    new["searcher"] = searcher(old.section("searcher"), space, old.values.get("records_per_epoch"))
    if space:
        new["hyperparameters"] = space
    if resources := _resources(old):
        new["resources"] = resources
    if (restarts := old.take("max_restarts")) is not None:
        new["max_restarts"] = restarts
    if storage := _storage(old.section("checkpoint_storage")):
        new["checkpoint_storage"] = storage
    if environment := _environment(old.section("environment")):
        new["environment"] = environment
    reproducibility = old.section("reproducibility")
    if (seed := reproducibility.take("experiment_seed")) is not None:
        new["seed"] = seed
    reproducibility.drop({})
    _mounts(old)
    old.drop(_GONE)
    return new, old.notes


def _labels(old: Section) -> list[str]:
    labels = old.take("labels", [])
    return [str(label) for label in labels]  # a mapping in old files: its names


def _place(old: Section, field: str) -> str | None:
    """The name of a workspace or a project, of characters that ids may have."""
    given = old.take(field)
    if not given:
        return None
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", str(given)).strip("-_") or "default"
    if plain != given:
        old.say("changed", field, f"is {plain} now: names are letters, digits, - and _")
    return plain


def _entrypoint(old: Section) -> list[str]:
    given = old.take("entrypoint")
    if given is None:
        old.say("todo", "entrypoint", "say how a rank is started, e.g. python train.py")
        return ["python", "train.py"]
    if isinstance(given, str) and _TRIAL_CLASS.fullmatch(given):
        return _trial_class(old, given)
    if isinstance(given, str) and _SHELL.search(given) and "determined.launch" not in given:
        return ["sh", "-c", given]
    words = [str(word) for word in given] if isinstance(given, list) else shlex.split(str(given))
    if len(words) > 2 and words[1] == "-m" and _LAUNCHERS.fullmatch(words[2]):
        old.say(
            "changed", "entrypoint", f"{words[2]} is not needed: a rank is started for each slot"
        )
        return _without_launcher(old, words)
    return words


def _without_launcher(old: Section, words: list[str]) -> list[str]:
    rest = words[3:]
    if "--trial" in rest[:-1]:
        return _trial_class(old, rest[rest.index("--trial") + 1])
    start = next((n for n, word in enumerate(rest) if word.endswith(".py") or word == "-m"), None)
    if start is None:
        start = rest.index("--") + 1 if "--" in rest else 0
    tail = rest[start:]
    if tail and tail[0].startswith("python"):
        return tail
    return [words[0], *tail]


def _trial_class(old: Section, given: str) -> list[str]:
    module = given.partition(":")[0].replace(".", "/")
    old.say(
        "todo",
        "entrypoint",
        f"{given} names a class of the other platform's trainer; write its training loop as a"
        f" script with shoal.init() (docs/getting-started.md) into {module}.py",
    )
    return ["python", f"{module}.py"]


def _resources(old: Section) -> Row:
    section = old.section("resources")
    new: Row = {}
    slots = section.take("slots_per_trial")
    if slots == 0:
        section.say("changed", "slots_per_trial", "is 1: every trial holds a slot")
        slots = 1
    names = {
        "slots_per_trial": slots,
        "max_slots": section.take("max_slots"),
        "weight": section.take("weight"),
        "priority": section.take("priority"),
        "resource_pool": section.take("resource_pool"),
        "single_node": section.take("is_single_node"),
    }
    new |= {name: value for name, value in names.items() if value is not None}
    if workspace := _place(old, "workspace"):
        new["workspace"] = workspace
    if "resource_pool" in new:
        section.say("todo", "resource_pool", f"see that there is a pool {new['resource_pool']!r}")
    section.drop(_RESOURCES_GONE)
    return new


def _storage(section: Section) -> Row:
    new: Row = {}
    if url := _storage_url(section):
        new["url"] = url
    for name in ("save_experiment_best", "save_trial_best", "save_trial_latest"):
        if (value := section.take(name)) is not None:
            new[name] = value
    section.drop(_STORAGE_GONE)
    return new


def _storage_url(section: Section) -> str | None:
    kind = section.take("type")
    match kind:
        case "shared_fs":
            host = str(section.take("host_path", "/"))
            inner = str(section.take("storage_path", ""))
            section.take("container_path")
            path = inner if inner.startswith("/") else f"{host.rstrip('/')}/{inner}"
            section.say("changed", "host_path", "must be the same folder on every machine")
            return f"file://{path.rstrip('/')}"
        case "directory":
            path = str(section.take("container_path", "/")).rstrip("/")
            section.say("changed", "container_path", "is a folder of the machine, not of an image")
            return f"file://{path}"
        case "gcs" | "s3":
            protocol = "gs" if kind == "gcs" else "s3"
            return _joined(protocol, section.take("bucket"), section.take("prefix", ""))
        case "azure":
            return _joined("az", section.take("container"), section.take("prefix", ""))
        case None:
            return None
    section.say("gone", "type", f"{kind!r} is no kind of storage that is known here")
    return None


def _joined(protocol: str, bucket: object, prefix: object) -> str:
    return f"{protocol}://{bucket}/{str(prefix).strip('/')}".rstrip("/")


def _environment(section: Section) -> Row:
    new: Row = {}
    if variables := _variables(section):
        new["environment_variables"] = variables
    if image := _of_kind(section, "image"):
        new["image"] = str(image)
        text = "is run as docker or podman has it: it needs shoal-sdk, and sees no mounts"
        section.say("todo", "image", f"{text}; or leave it out, and ranks run beside the worker")
    section.drop(_ENVIRONMENT_GONE)
    return new


def _of_kind(section: Section, name: str) -> Any:
    """A field that may have a value for each kind of device: that of GPUs, if there is one."""
    given = section.take(name)
    if not (isinstance(given, Mapping) and given and given.keys() <= {*_KINDS}):
        return given
    chosen = next((kind for kind in _KINDS if given.get(kind)), "cpu")
    if any(given[kind] != given.get(chosen) for kind in given if given[kind]):
        section.say("changed", name, f"is that of {chosen}, everywhere")
    return given.get(chosen)


def _variables(section: Section) -> dict[str, str]:
    given = _of_kind(section, "environment_variables") or {}
    if isinstance(given, Mapping):
        pairs = [(str(name), str(value)) for name, value in given.items()]
    else:
        pairs = [tuple(str(text).split("=", 1)) for text in given]  # type: ignore[misc]
    new = {}
    for pair in pairs:
        if len(pair) == 2:
            new[pair[0]] = pair[1]
        else:
            section.say("gone", f"environment_variables.{pair[0]}", "it has no value in the file")
    return new


def _mounts(old: Section) -> None:
    for number, mount in enumerate(old.take("bind_mounts", [])):
        host = mount.get("host_path")
        seen = mount.get("container_path", host)
        text = (
            f"ranks see {host} at its own place (in a container: if SHOAL_CONTAINER_MOUNTS of the"
        )
        text += " workers names it)"
        if seen != host:
            text += f"; read it there, not at {seen}"
        old.say("gone" if seen == host else "todo", f"bind_mounts.{number}", text)
