"""A target file is refused with file, line, field and hint, before anything is touched."""

import pytest

from harness.model.errors import PlanError
from harness.target.targetfile import load_target

GOOD = """\
version: 1
name: lab
kubernetes:
  kubeconfig: kubeconfig
  namespaces: [shop]
aws:
  region: us-east-1
  endpoint_url: http://198.18.1.13:5000
  credentials: {shared_credentials_file: credentials, profile: lab}
  tags: {gameday: allowed}
  autoscaling_groups: [workers-us-east-1a]
prometheus: {url: "http://198.18.1.14:9090/"}
entrypoints: ["http://198.18.16.20"]
responses: {zone_header: x-zone, pod_header: x-pod}
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "kubeconfig").touch()
    (tmp_path / "credentials").touch()

    def written(text):
        path = tmp_path / "target.yaml"
        path.write_text(text)
        return path

    return written


def test_a_good_file_is_read(write, tmp_path):
    target = load_target(write(GOOD))

    assert target.kubernetes.kubeconfig == str(tmp_path / "kubeconfig")
    assert target.aws.tags == {"gameday": "allowed"}
    assert target.prometheus == "http://198.18.1.14:9090"
    assert target.pod_header == "x-pod"


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "said"),
    [
        ("version: 1", "version: 2", 1, "version", "less than or equal to 1"),
        ("name: lab\n", "", None, "name", "missing"),
        ("namespaces: [shop]", "namespaces: []", 5, "kubernetes.namespaces", "at least 1"),
        ("namespaces: [shop]", "namespace: [shop]", 5, "kubernetes.namespace", "did you mean 'namespaces'"),
        ("region: us-east-1", "region: Virginia", 7, "aws.region", "Virginia"),
        ("http://198.18.1.13:5000", "198.18.1.13:5000", 8, "aws.endpoint_url", "http:// or https://"),
        ("tags: {gameday: allowed}", "tags: {}", 10, "aws.tags", "at least 1"),
        ('entrypoints: ["http://198.18.16.20"]', 'entrypoints: ["shop"]', 13, "entrypoints", "http:// or https://"),
        ("kubeconfig: kubeconfig", "kubeconfig: nowhere", 4, "kubernetes.kubeconfig", "there is no file"),
        ("profile: lab}", "profile: lab", 9, "", "not YAML"),
        ("name: lab", "name: lab\nname: other", 3, "", "only once"),
    ],
)
def test_a_bad_file_is_refused_where_it_is_bad(write, old, new, line, field, said):
    assert old in GOOD
    with pytest.raises(PlanError) as refused:
        load_target(write(GOOD.replace(old, new)))

    assert refused.value.file.endswith("target.yaml")
    if line is not None and said != "not YAML":
        assert refused.value.line == line
    assert refused.value.field.startswith(field)
    assert said in str(refused.value)


def test_a_missing_file_says_what_is_there(tmp_path):
    (tmp_path / "other.yaml").touch()
    with pytest.raises(PlanError, match=r"other\.yaml"):
        load_target(tmp_path / "target.yaml")
