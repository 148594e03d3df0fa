"""Kubernetes and object storage, DRY RUNS ONLY: against an S3 server on the loopback interface, without a cluster."""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from snakemake_project import ROOT, SMOKE, Project

# Where `make cluster` installs the plugins: in .venv they would slow down every start of Snakemake.
PLUGINS = str(ROOT / "build" / "kubernetes")
sys.path.append(PLUGINS)
server = pytest.importorskip("moto.server", reason="no S3 server; `make cluster` installs one")
import boto3  # noqa: E402  (comes with it)

pytestmark = [pytest.mark.workflow, pytest.mark.timeout(600)]
PREFIX = "s3://bucket/aligncap"
PROFILE = ("--workflow-profile", "profiles/kubernetes", "--default-storage-prefix", PREFIX)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket, and the environment in which Snakemake finds it."""
    served = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    served.start()
    address = "http://{}:{}".format(*served.get_host_and_port())
    for name, value in {"ENDPOINT_URL": address, "ACCESS_KEY": "key", "SECRET_KEY": "secret"}.items():
        monkeypatch.setenv(f"SNAKEMAKE_STORAGE_S3_{name}", value)
    client = boto3.resource(
        "s3", endpoint_url=address, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    yield client.create_bucket(Bucket="bucket")
    served.stop()


def plan(project: Project, *arguments: str) -> Counter[str]:
    """How many jobs of each rule a dry run plans."""
    path = os.pathsep.join([project.environment["PYTHONPATH"], PLUGINS])
    told = project.execute(["env", f"PYTHONPATH={path}", *project.command("-n", *arguments)])
    return Counter(re.findall(r"^(?:local)?rule (\w+):$", told, re.MULTILINE))


def test_the_same_jobs_are_planned_on_kubernetes_but_what_lies_in_the_bucket(project: Project, bucket: Any) -> None:
    here, there = plan(project, *SMOKE), plan(project, *PROFILE, *SMOKE)
    assert here == there and sum(here.values()) > 50
    assert not list(bucket.objects.all()), "a dry run writes nothing"
    bucket.put_object(Key="aligncap/models/tiny-bert/manifest.json", Body=b"{}")
    assert here - plan(project, *PROFILE, *SMOKE) == Counter(fetch_model=1)
