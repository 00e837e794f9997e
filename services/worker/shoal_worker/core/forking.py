"""Whether a rank can be forked from the warm process, or has to be started from nothing."""

from collections.abc import Mapping, Sequence

PYTHON = ("python", "python3")
"""Commands that mean the worker's own interpreter."""
_EARLY = (
    "PYTHON", "LANG", "LC_", "LD_", "GLIBC_", "MALLOC_",
    "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "BLIS_", "DNNL_", "ONEDNN_", "ATEN_",
    "TORCH", "PYTORCH_", "NPY_", "SCIPY_", "SKLEARN_", "JOBLIB_", "FSSPEC_", "GRPC_",
)  # fmt: skip
"""Variables that Python, the C library or what the warm process imports read at their start."""
_LATE = (
    "PYTHONPATH", "PYTHONUNBUFFERED",
    "TORCHELASTIC_", "TORCH_HOME", "TORCH_NCCL_",
)  # fmt: skip
"""Those of them that are read later, or that a forked rank applies."""
_THREADS = "OMP_NUM_THREADS"


def possible(command: Sequence[str], env: Mapping[str, str], warm: Mapping[str, str]) -> bool:
    """Whether a command, with the environment `env`, finds in a process forked from one with the
    environment `warm` what it would find in one of its own: a script or a module, without flags
    for Python, whose variables are applied, or the same, or read after the fork."""
    first = command[1:2]
    plain = command[0] in PYTHON and first != [] and (first == ["-m"] or first[0][:1] != "-")
    others = (name for name in {*env, *warm} if env.get(name) != warm.get(name))
    return plain and all(_applies(name, env) for name in others)


def _applies(name: str, env: Mapping[str, str]) -> bool:
    if name == _THREADS:
        count = env.get(name, "")
        return count.isdecimal() and int(count) > 0
    return name.startswith(_LATE) or not name.startswith(_EARLY)
