"""Reading a target file: its shape, its checks, its errors."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from harness.model.errors import PlanError
from harness.target.target import Aws, Credentials, Kubernetes, Target
from harness.yamlfile import Strict, check, line_of, read_yaml, refusal


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refusal("an http:// or https:// address is expected", "write it like http://198.18.1.14:9090")
    return value.rstrip("/")


class _Credentials(Strict):
    shared_credentials_file: str | None = None
    profile: str | None = None


class _Kubernetes(Strict):
    kubeconfig: str
    context: str | None = None
    namespaces: list[str] = Field(min_length=1)


class _Aws(Strict):
    region: str = Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    endpoint_url: str | None = None
    credentials: _Credentials = Field(default_factory=_Credentials)
    tags: dict[str, str] = Field(min_length=1)
    autoscaling_groups: list[str] = Field(default_factory=list)

    @field_validator("endpoint_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else _url(value)


class _Prometheus(Strict):
    url: str

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return _url(value)


class _Responses(Strict):
    zone_header: str | None = None
    pod_header: str | None = None


class _Target(Strict):
    version: int = Field(ge=1, le=1)
    name: str = Field(min_length=1)
    kubernetes: _Kubernetes
    aws: _Aws | None = None
    prometheus: _Prometheus | None = None
    entrypoints: list[str] = Field(min_length=1)
    responses: _Responses = Field(default_factory=_Responses)

    @field_validator("entrypoints")
    @classmethod
    def _addresses(cls, value: list[str]) -> list[str]:
        return [_url(each) for each in value]


def load_target(path: Path) -> Target:
    """
    The target that *path* describes; paths in it are relative to the file.

    Raises PlanError with file, line and field; touches nothing and reaches for nothing.
    """
    document = read_yaml(path)
    said = check(document, _Target, path)
    kubeconfig = _beside(path, said.kubernetes.kubeconfig)
    if not kubeconfig.is_file():
        raise PlanError(
            f"there is no file {kubeconfig}",
            file=str(path),
            line=line_of(document, ("kubernetes", "kubeconfig")),
            field="kubernetes.kubeconfig",
            hint="is the lab up (`lab up`)? For EKS: `aws eks update-kubeconfig --kubeconfig FILE --name CLUSTER`",
        )
    responses = said.responses
    return Target(
        name=said.name,
        file=path.resolve(),
        kubernetes=Kubernetes(str(kubeconfig), tuple(said.kubernetes.namespaces), said.kubernetes.context),
        entrypoints=tuple(said.entrypoints),
        aws=_aws(said.aws, document, path),
        prometheus=said.prometheus.url if said.prometheus else None,
        zone_header=responses.zone_header,
        pod_header=responses.pod_header,
    )


def _aws(said: _Aws | None, document: object, path: Path) -> Aws | None:
    if said is None:
        return None
    file = said.credentials.shared_credentials_file
    if file and not _beside(path, file).is_file():
        place = ("aws", "credentials", "shared_credentials_file")
        raise PlanError(
            f"there is no file {_beside(path, file)}",
            file=str(path),
            line=line_of(document, place),
            field=".".join(place),
            hint="name a credentials file, or leave `credentials` out to use the AWS SDK's own search",
        )
    return Aws(
        region=said.region,
        tags=dict(said.tags),
        endpoint_url=said.endpoint_url,
        credentials=Credentials(str(_beside(path, file)) if file else None, said.credentials.profile),
        autoscaling_groups=tuple(said.autoscaling_groups),
    )


def _beside(path: Path, name: str) -> Path:
    return path.parent / Path(name).expanduser()
