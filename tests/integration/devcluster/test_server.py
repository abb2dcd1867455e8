"""Starting and stopping a dev cluster."""

import stat

import httpx2
import yaml

from devcluster.server import DevCluster, DevClusterSettings


def settings(folder, **more):
    return DevClusterSettings(data_dir=folder / "devcluster", runs_controllers=False, runs_node=False, **more)


async def test_objects_survive_a_restart(tmp_path):
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kept"}}
    async with DevCluster(settings(tmp_path)) as cluster:
        cluster.registry.create(namespace, manager="test")
    async with DevCluster(settings(tmp_path)) as cluster:
        assert cluster.registry.find("Namespace", None, "kept") is not None


async def test_objects_are_forgotten_on_request(tmp_path):
    for _ in range(2):
        async with DevCluster(settings(tmp_path, keeps_state=False)) as cluster:
            names = [obj["metadata"]["name"] for obj in cluster.registry.list("Namespace")]
            assert names == ["default", "kube-public", "kube-system"]
            cluster.registry.create({"kind": "Namespace", "metadata": {"name": "x"}}, manager="test")


async def test_the_kubeconfig_is_for_its_owner_alone_and_works(tmp_path):
    path = tmp_path / "elsewhere" / "config"
    async with DevCluster(settings(tmp_path, kubeconfig=path, token="secret")) as cluster:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        config = yaml.safe_load(path.read_text())
        server = config["clusters"][0]["cluster"]["server"]
        assert server == f"{cluster.url}/as/secret"
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{server}/api/v1/namespaces")).status_code == 200


async def test_a_port_can_be_chosen_again_right_after_stopping(tmp_path):
    async with DevCluster(settings(tmp_path)) as cluster:
        port = int(cluster.url.rpartition(":")[2])
    async with DevCluster(settings(tmp_path, port=port)) as cluster:
        assert cluster.url.endswith(f":{port}")
