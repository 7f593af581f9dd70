"""Clients for a target's doors, made from the target file alone."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.config
import botocore.session
import kubernetes.client
import kubernetes.config

from harness.model.errors import TargetError
from harness.target.target import Target


def boto3_client(target: Target, service: str) -> Any:
    """A boto3 client for *service* as the target file says; short timeouts, for a harness must not hang."""
    aws = target.aws
    if aws is None:
        raise TargetError(
            f"target {target.name!r} has no AWS API", hint=f"add an `aws:` section with a region to {target.file}"
        )
    core = botocore.session.Session(profile=aws.credentials.profile)
    if aws.credentials.shared_credentials_file:
        core.set_config_variable("credentials_file", aws.credentials.shared_credentials_file)
    config = botocore.config.Config(
        connect_timeout=3, read_timeout=10, retries={"max_attempts": 3, "mode": "standard"}, region_name=aws.region
    )
    session: Any = boto3.session.Session(botocore_session=core, region_name=aws.region)
    return session.client(service, endpoint_url=aws.endpoint_url, config=config)


def kubernetes_client(target: Target) -> kubernetes.client.ApiClient:
    """A Kubernetes API client for the target's kubeconfig and context."""
    where = target.kubernetes
    try:
        return kubernetes.config.new_client_from_config(config_file=where.kubeconfig, context=where.context)
    except kubernetes.config.ConfigException as error:
        raise TargetError(
            f"kubeconfig {where.kubeconfig} cannot be used: {error}",
            hint=f"check kubernetes.kubeconfig and kubernetes.context in {target.file}",
        ) from error
