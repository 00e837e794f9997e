"""All drivers pass one suite; the cloud's speaks to a local server by Google's own client."""

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path

import psutil
import pytest
from fakes.compute import FakeCompute, serving
from google.auth.credentials import AnonymousCredentials
from laws.driver_laws import DriverLaws
from unit.provisioner.spot import GCP, PRICES, spot_pool

from shoal_provisioner.core.offers import offers_of
from shoal_provisioner.shell.drivers.base import Machine, Order
from shoal_provisioner.shell.drivers.gcp.advice import advice
from shoal_provisioner.shell.drivers.gcp.api import Compute
from shoal_provisioner.shell.drivers.gcp.driver import GcpDriver
from shoal_provisioner.shell.drivers.local import LocalDriver
from shoal_provisioner.shell.drivers.simulated import Cloud, SimulatedDriver
from shoal_provisioner.shell.drivers.ssh import HostsError, SshDriver, SshHost, read_hosts

SLEEP = ["-c", "import time; time.sleep(60)"]


class TestLocal(DriverLaws):
    zone = kind = "local"
    spot = False

    @pytest.fixture(autouse=True)
    async def _folder(self, tmp_path):
        self.folder = tmp_path
        yield
        for machine in await (await self.new()).machines():
            await (await self.new()).stop(machine.instance_id, "", 0)

    async def new(self):
        env = {"PATH": os.environ["PATH"]}
        return LocalDriver(self.folder, "nats://x:1", env, [sys.executable, *SLEEP])

    async def kill(self, name):
        process = (await self.new())._process(name)
        process.kill()

    async def foreign(self):
        process = await asyncio.create_subprocess_exec(sys.executable, *SLEEP)

        async def there():
            alive = process.returncode is None
            process.kill()
            await process.wait()
            return alive

        return there


SSH = """#!/bin/sh
# In ssh's place: each host is a folder of this machine.
while [ "${1#-}" != "$1" ]; do shift 2; done
[ -e "FOLDER/$1.down" ] && exit 255
HOME="FOLDER/$1"; export HOME; mkdir -p "$HOME"; shift; exec "$@"
"""


class TestSsh(DriverLaws):
    zone = kind = "ssh"
    spot = False

    @pytest.fixture(autouse=True)
    async def _hosts(self, tmp_path):
        self.folder, self.command = tmp_path, tmp_path / "ssh"
        self.command.write_text(SSH.replace("FOLDER", str(tmp_path)))
        self.command.chmod(self.command.stat().st_mode | stat.S_IXUSR)
        yield
        for process in self.workers():
            process.kill()

    def workers(self):
        for file in self.folder.glob("*/.shoal/machines/*/pid"):
            if psutil.pid_exists(pid := int(file.read_text())):
                yield psutil.Process(pid)

    async def new(self, cluster="shoal"):
        hosts = [
            SshHost(host=f"gpu{n}", address=f"10.0.0.{n}", slots=1, python=sys.executable)
            for n in range(3)
        ]
        return SshDriver(
            cluster, "nats://x:1", hosts, command=[str(self.command), "-o", "x"], worker=SLEEP
        )

    async def kill(self, name):
        (file,) = self.folder.glob(f"*/.shoal/machines/{name}/pid")
        os.kill(int(file.read_text()), signal.SIGKILL)

    async def foreign(self):
        other = await self.new("other")
        await other.start([self.order(99)])

        async def there():
            return await self.names(other) == ["p-99"]

        return there

    async def test_a_worker_has_its_settings(self):
        driver = await self.new()
        await driver.start([self.order(0)])
        env = next(self.workers()).environ()
        assert {k: v for k, v in env.items() if k.startswith("SHOAL_")} == {
            "SHOAL_NATS_URL": "nats://x:1",
            "SHOAL_NODE_ID": "p-0",
            "SHOAL_INSTANCE_ID": "p-0",
            "SHOAL_POOL": "p",
            "SHOAL_SLOTS": "1",
            "SHOAL_HOST": "10.0.0.0",
            "SHOAL_NATS_TOKEN": "",
            "SHOAL_CLUSTER": "shoal",
            "SHOAL_STATE_DIR": str(self.folder / "gpu0" / ".shoal" / "machines" / "p-0"),
        }

    async def test_there_are_no_more_machines_than_listed(self):
        driver = await self.new()
        failed = await driver.start([self.order(n) for n in range(4)])
        assert (list(failed), failed["p-3"].cause) == (["p-3"], "stock_out")
        await driver.stop("p-1", "ssh", 5.0)
        assert dict(await driver.start([self.order(4)])) == {}

    async def test_a_machine_that_cannot_be_reached_is_not_gone(self):
        driver = await self.new()
        await driver.start([self.order(0)])
        assert await self.names(driver) == ["p-0"]
        (self.folder / "gpu0.down").touch()
        assert await self.names(driver) == ["p-0"]

    def test_the_file_of_machines_is_checked(self, tmp_path):
        file = tmp_path / "hosts.yaml"
        file.write_text("- {host: gpu1, address: 10.0.0.1, slots: 4}")
        assert read_hosts(str(file))[0].slots == 4
        for bad in ("- {host: '-oProxyCommand=x', address: a, slots: 1}", "- {host: a}", "{"):
            file.write_text(bad)
            with pytest.raises(HostsError, match="the file of machines"):
                read_hosts(str(file))


class TestSimulated(DriverLaws):
    @pytest.fixture(autouse=True)
    def _cloud(self):
        self.now, self.cloud = 0.0, Cloud()

    async def new(self):
        return SimulatedDriver(self.cloud, lambda: self.now)

    async def kill(self, name):
        self.cloud.stop(name)

    async def foreign(self):
        return None

    async def test_there_is_as_much_as_the_trace_says_and_the_last_go_first(self):
        self.cloud.spot = {self.zone: lambda now: 2 if now < 60 else 1}
        driver = await self.new()
        failed = await driver.start([self.order(n) for n in range(3)])
        assert (list(failed), failed["p-2"].cause) == (["p-2"], "stock_out")
        on_demand = Order("p", "p-9", 1, self.kind, self.zone, spot=False)
        assert dict(await driver.start([on_demand])) == {}
        self.now = 60.0
        assert await self.names(driver) == ["p-0", "p-9"]
        assert await driver.was_preempted("p-1", self.zone)


KIND = "n1-standard-8-1xnvidia-tesla-v100"


class TestGcp(DriverLaws):
    kind = KIND

    @pytest.fixture(autouse=True)
    def _cloud(self):
        self.cloud = FakeCompute()
        with serving(self.cloud) as self.endpoint:
            yield

    def connect(self, project):
        return Compute(project, self.endpoint, AnonymousCredentials(), 0.005, 0.02, patience=2.0)

    async def new(self, **pool):
        return GcpDriver("shoal", {"p": spot_pool(**pool)}, self.connect, "secret", look=0.01)

    async def kill(self, name):
        self.cloud.vanish(f"shoal-{name}")

    async def foreign(self):
        self.cloud.foreign(self.zone, "shoal-p-99")
        self.cloud.foreign(self.zone, "other-p-1", **{"shoal-cluster": "other"})

        async def there():
            return len(self.cloud.instances) == 2

        return there

    def orders(self, count, zone="us-central1-a"):
        return [Order("p", f"p-{n}", 1, KIND, zone, True) for n in range(count)]

    async def test_machines_are_what_the_pool_says(self):
        await (await self.new()).start(self.orders(1))
        (template,) = self.cloud.templates.values()
        it = template["properties"]
        assert it["machineType"] == "n1-standard-8"
        assert it["scheduling"] == {
            "automaticRestart": False,
            "instanceTerminationAction": "DELETE",
            "onHostMaintenance": "TERMINATE",
            "preemptionNoticeDuration": {"seconds": "120"},
            "provisioningModel": "SPOT",
        }
        assert it["guestAccelerators"] == [
            {"acceleratorCount": 1, "acceleratorType": "nvidia-tesla-v100"}
        ]
        assert it["labels"] == {"shoal-cluster": "shoal", "shoal-pool": "p", "shoal-kind": KIND}
        assert it["serviceAccounts"][0]["email"] == "w@lab"
        assert "accessConfigs" not in it["networkInterfaces"][0]
        meta = {item["key"]: item.get("value", "") for item in it["metadata"]["items"]}
        assert meta["shoal-join-token"] == "secret"
        assert "secret" not in meta["startup-script"]
        assert "-m shoal_worker" in meta["startup-script"]

    async def test_each_region_has_its_subnetwork(self):
        nets = {"us-central1": "a", "us-east1": "b"}
        driver = await self.new(gcp={**GCP, "subnetworks": nets})
        await driver.start([Order("p", "p-0", 1, KIND, "us-central1-a", True)])
        await driver.start([Order("p", "p-1", 1, KIND, "us-east1-c", True)])
        found = [t["properties"]["networkInterfaces"][0] for t in self.cloud.templates.values()]
        assert [net["subnetwork"] for net in found] == ["a", "b"]

    async def test_the_start_script_is_a_script(self, tmp_path):
        await (await self.new()).start(self.orders(1))
        (template,) = self.cloud.templates.values()
        items = template["properties"]["metadata"]["items"]
        file = Path(tmp_path / "start.sh")
        file.write_text(next(i["value"] for i in items if i["key"] == "startup-script"))
        check = await asyncio.create_subprocess_exec("bash", "-n", str(file))
        assert await check.wait() == 0

    async def test_gpus_that_are_built_in_are_not_attached(self):
        kind = {"machine_type": "a2-highgpu-1g", "gpu": "nvidia-tesla-a100", "gpu_count": 1}
        driver = await self.new(kinds=[kind], provisioning="on_demand")
        name = "a2-highgpu-1g-1xnvidia-tesla-a100"
        assert dict(await driver.start([Order("p", "p-0", 1, name, self.zone)])) == {}
        it = next(iter(self.cloud.templates.values()))["properties"]
        assert "guestAccelerators" not in it
        assert it["scheduling"]["provisioningModel"] == "STANDARD"
        assert "preemptionNoticeDuration" not in it["scheduling"]

    async def test_a_project_without_longer_notice_gets_machines_without(self):
        self.cloud.refuses_notice = True
        assert dict(await (await self.new()).start(self.orders(2))) == {}
        (template,) = self.cloud.templates.values()
        assert "preemptionNoticeDuration" not in template["properties"]["scheduling"]

    async def test_many_machines_are_one_call(self):
        await (await self.new()).start(self.orders(64))
        assert sum("bulkInsert" in call for call in self.cloud.calls) == 1
        assert {i["status"] for i in self.cloud.instances.values()} == {"RUNNING"}

    @pytest.mark.parametrize(("stock", "started"), [(0, 0), (2, 2)])
    async def test_a_zone_without_stock_gives_what_it_has(self, stock, started):
        self.cloud.stock[self.zone] = stock
        driver = await self.new()
        failed = await driver.start(self.orders(4))
        assert len(await driver.machines()) == started
        assert [error.cause for error in failed.values()] == ["stock_out"] * (4 - started)
        if not started:
            assert "ZONE_RESOURCE_POOL_EXHAUSTED" in str(failed["p-0"])
        assert dict(await driver.start(self.orders(1, "us-central1-b"))) in ({}, failed)

    @pytest.mark.parametrize("early", [True, False])
    async def test_no_quota_is_told_apart(self, early):
        self.cloud.quota["us-central1"], self.cloud.quota_early = 0, early
        failed = await (await self.new()).start(self.orders(1))
        assert failed["p-0"].cause == "quota"

    async def test_no_permission_and_bad_config_are_told_apart(self):
        self.cloud.denied = True
        driver = await self.new()
        assert (await driver.start(self.orders(1)))["p-0"].cause == "permission"
        self.cloud.denied = False
        self.cloud.failing = [(400, "invalid")] * 9
        assert (await driver.start(self.orders(1)))["p-0"].cause == "config"
        self.cloud.failing = []
        assert dict(await driver.start(self.orders(1))) == {}

    async def test_passing_faults_are_outlived_and_nothing_is_made_twice(self):
        self.cloud.polls = 4
        driver = await self.new()
        self.cloud.failing = [(503, "x"), (0, "cut off"), (429, "rateLimitExceeded"), (500, "x")]
        assert dict(await driver.start(self.orders(3))) == {}
        self.cloud.failing = [(403, "rateLimitExceeded"), (502, "x")]
        await driver.stop("p-0", self.zone, 0)
        assert await self.names(driver) == ["p-1", "p-2"]

    async def test_an_answer_that_was_lost_makes_no_second_machine(self):
        """The request id makes Compute Engine carry out once what is asked for twice."""
        driver = await self.new()
        await driver.start(self.orders(1))
        compute = driver.compute("lab")
        template = next(iter(self.cloud.templates))
        first = await compute.bulk_insert(self.zone, template, ["shoal-p-5"], "one-id")
        again = await compute.bulk_insert(self.zone, template, ["shoal-p-5"], "one-id")
        assert first.name == again.name
        assert await self.names(driver) == ["p-0", "p-5"]

    async def test_all_pages_are_read(self):
        self.cloud.page = 7
        driver = await self.new()
        await driver.start(self.orders(20))
        assert len(await driver.machines()) == 20

    async def test_a_template_that_somebody_deleted_is_made_again(self):
        driver = await self.new()
        await driver.start(self.orders(1))
        self.cloud.templates.clear()
        order = [Order("p", "p-9", 1, KIND, self.zone, True)]
        assert (await driver.start(order))["p-9"].cause == "config"
        assert dict(await driver.start(order)) == {}

    async def test_a_preemption_is_seen_by_polling_while_and_after_it_happens(self):
        driver = await self.new()
        await driver.start(self.orders(3))
        self.cloud.preempt("shoal-p-0", lingers=True)
        self.cloud.preempt("shoal-p-1")
        found = {machine.instance_id: machine.preempted for machine in await driver.machines()}
        assert found == {"p-0": True, "p-2": False}
        assert [await driver.was_preempted(f"p-{n}", self.zone) for n in range(3)] == [
            True, True, False,
        ]  # fmt: skip

    async def test_a_machine_that_knows_of_its_end_is_left_to_it_for_a_while(self):
        driver = await self.new()
        await driver.start(self.orders(2))
        ending = asyncio.create_task(driver.stop("p-0", self.zone, 30.0, told=True))
        await asyncio.sleep(0.1)
        assert not ending.done()
        assert not any(call.startswith("DELETE") for call in self.cloud.calls)
        self.cloud.preempt("shoal-p-0")
        await asyncio.wait_for(ending, 5)
        await driver.stop("p-1", self.zone, 0.05, told=True)
        assert await driver.machines() == [], "and no longer than that"

    async def test_an_operation_without_end_is_given_up(self):
        self.cloud.polls = 10**9
        failed = await (await self.new()).start(self.orders(1))
        assert "is not over after" in str(failed["p-0"])

    async def test_what_is_ended_is_listed_no_more(self):
        driver = await self.new()
        await driver.start(self.orders(1))
        self.cloud.instances[self.zone, "shoal-p-0"]["status"] = "STOPPING"
        assert await driver.machines() == []
        self.cloud.instances[self.zone, "shoal-p-0"]["status"] = "TERMINATED"
        assert await driver.machines() == [Machine("p", "p-0", KIND, self.zone, True)]

    async def test_advice_is_asked_for_each_place_and_may_fail(self):
        self.cloud.obtainability[self.zone] = (0.35, "5400s")
        pool, compute = spot_pool(), self.connect("lab")
        offers = offers_of(pool, PRICES)
        words = await advice(compute, pool, offers, 4)
        assert [(w.obtainability, w.uptime) for w in words] == [
            (pytest.approx(0.35), 5400), (0.9, 21600), (0.9, 21600),
        ]  # fmt: skip
        self.cloud.failing = [(404, "notFound")]
        assert len(await advice(compute, pool, offers, 4)) == 2
