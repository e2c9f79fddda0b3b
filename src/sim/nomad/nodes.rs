//! Client nodes: they come and go with the infrastructure, hold allocations, and drain.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::cluster::{Cluster, Table};
use super::placement::Draft;
use super::records::{JobKey, Node};

/// How large a client node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSize {
    /// MHz
    pub cpu: i64,
    /// MiB
    pub memory: i64,
    /// MiB
    pub disk: i64,
}

impl Default for NodeSize {
    fn default() -> Self {
        Self { cpu: 4000, memory: 8192, disk: 40_960 }
    }
}

const VERSION: &str = "2.0.5";

impl Node {
    pub fn attributes(&self) -> Map<String, Value> {
        let mut out = Map::new();
        let mut add = |key: &str, value: String| {
            out.insert(key.to_owned(), Value::String(value));
        };
        add("cpu.arch", "amd64".into());
        add("cpu.numcores", (self.cpu / 2000).max(1).to_string());
        add("cpu.totalcompute", self.cpu.to_string());
        add("cpu.usablecompute", self.cpu.to_string());
        add("kernel.name", "linux".into());
        add("kernel.arch", "x86_64".into());
        add("kernel.version", "6.1.0".into());
        add("cpu.frequency", "2000".into());
        add("os.name", "debian".into());
        add("os.version", "12".into());
        add("memory.totalbytes", (self.memory * 1024 * 1024).to_string());
        add("unique.hostname", self.name.clone());
        add("unique.network.ip-address", "127.0.0.1".into());
        add("unique.storage.volume", "/dev/vda1".into());
        add("nomad.version", VERSION.into());
        add("nomad.service_discovery", "true".into());
        add("unique.advertise.address", self.http.clone());
        for plugin in ["bridge", "firewall", "host-local", "loopback", "portmap"] {
            add(&format!("plugins.cni.version.{plugin}"), "1.6.2".into());
        }
        for driver in &self.drivers {
            add(&format!("driver.{driver}"), "1".into());
        }
        add("driver.docker.version", "28.0.1".into());
        out
    }

    fn drivers_json(&self) -> Value {
        let one = |name: &String| {
            let info = json!({"Attributes": {format!("driver.{name}"): "true"}, "Detected": true, "Healthy": true,
                "HealthDescription": "Healthy", "UpdateTime": self.since.to_string()});
            (name.clone(), info)
        };
        Value::Object(self.drivers.iter().map(one).collect())
    }

    fn resources(&self) -> Value {
        json!({
            "Cpu": {"CpuShares": self.cpu, "TotalCpuCores": (self.cpu / 2000).max(1), "ReservableCpuCores": [0]},
            "Processors": {"Topology": null}, "Memory": {"MemoryMB": self.memory},
            "Disk": {"DiskMB": self.disk}, "Devices": null,
            "NodeNetworks": [{"Mode": "bridge", "Device": "", "MacAddress": "", "Speed": 0, "Addresses": null},
                {"Mode": "host", "Device": "lo", "MacAddress": "", "Speed": 1000, "Addresses": [
                    {"Family": "ipv4", "Alias": "default", "Address": "127.0.0.1", "ReservedPorts": "", "Gateway": ""}]}],
            "Networks": [{"Mode": "bridge"},
                {"Mode": "host", "Device": "lo", "CIDR": "127.0.0.1/32", "IP": "127.0.0.1", "MBits": 1000}], "MinDynamicPort": 20000, "MaxDynamicPort": 32000,
        })
    }

    fn reserved() -> Value {
        json!({"Cpu": {"CpuShares": 0, "ReservedCpuCores": null}, "Memory": {"MemoryMB": 0}, "Disk": {"DiskMB": 0},
            "Networks": {"ReservedHostPorts": ""}})
    }

    fn drain_strategy(&self) -> Value {
        if !self.draining {
            return Value::Null;
        }
        json!({"Deadline": 3_600_000_000_000i64, "IgnoreSystemJobs": false,
            "ForceDeadline": self.since.to_string(), "StartedAt": self.since.to_string()})
    }

    fn status(&self) -> &'static str {
        if self.ready { "ready" } else { "down" }
    }

    fn eligibility(&self) -> &'static str {
        if self.eligible { "eligible" } else { "ineligible" }
    }

    /// As lists show it.
    pub fn stub(&self, resources: bool) -> Value {
        let mut out = json!({
            "Address": "127.0.0.1", "ID": self.id, "Datacenter": "dc1", "Name": self.name, "NodePool": "default",
            "NodeClass": "", "Version": VERSION, "Drain": self.draining,
            "SchedulingEligibility": self.eligibility(), "Status": self.status(), "StatusDescription": "",
            "Drivers": self.drivers_json(), "HostVolumes": null, "LastDrain": null,
            "CreateIndex": self.create_index, "ModifyIndex": self.modify_index,
        });
        if resources {
            out["NodeResources"] = self.resources();
            out["ReservedResources"] = Self::reserved();
        }
        out
    }

    pub fn json(&self) -> Value {
        json!({
            "ID": self.id, "Datacenter": "dc1", "Name": self.name, "CgroupParent": "nomad.slice",
            "HTTPAddr": self.http, "TLSEnabled": false, "Attributes": self.attributes(),
            "NodeResources": self.resources(), "ReservedResources": Self::reserved(),
            "Links": {}, "Meta": {"database_host": "127.0.0.1"}, "NodeClass": "", "NodePool": "default", "ComputedClass": "v1:0",
            "DrainStrategy": self.drain_strategy(), "Drain": self.draining, "SchedulingEligibility": self.eligibility(),
            "Status": self.status(), "StatusDescription": "", "IdentitySigningKeyID": "",
            "StatusUpdatedAt": self.since.as_second(),
            "Events": [{"Message": "Node registered", "Subsystem": "Cluster", "Details": null,
                "Timestamp": self.since.to_string(), "CreateIndex": 0}],
            "Drivers": self.drivers_json(), "CSIControllerPlugins": {}, "CSINodePlugins": {}, "HostVolumes": {},
            "GCVolumesOnNodeGC": false, "HostNetworks": null, "LastDrain": null, "NodeMaxAllocs": 0,
            "LastMissedHeartbeatIndex": 0, "LastAllocUpdateIndex": self.modify_index,
            "CreateIndex": self.create_index, "ModifyIndex": self.modify_index,
        })
    }

    /// What `client/stats` says of it.
    pub fn stats(&self, used_cpu: i64, used_memory: i64, now: i64, up_seconds: i64) -> Value {
        let mib = 1024 * 1024;
        json!({
            "Memory": {"Total": self.memory * mib, "Available": (self.memory - used_memory) * mib,
                "Used": used_memory * mib, "Free": (self.memory - used_memory) * mib},
            "CPU": [{"CPU": "cpu0", "User": 10.0, "System": 2.0, "Idle": 88.0, "TotalPercent": 12.0,
                "Total": 12.0}],
            "DiskStats": [{"Device": "/dev/vda1", "Mountpoint": "/", "Size": self.disk * mib,
                "Used": self.disk * mib / 8, "Available": self.disk * mib * 7 / 8, "UsedPercent": 12.5,
                "InodesUsedPercent": 1.0}],
            "AllocDirStats": {"Device": "/dev/vda1", "Mountpoint": "/", "Size": self.disk * mib,
                "Used": self.disk * mib / 8, "Available": self.disk * mib * 7 / 8, "UsedPercent": 12.5,
                "InodesUsedPercent": 1.0},
            "DeviceStats": [], "Uptime": up_seconds, "CPUTicksConsumed": used_cpu / 4, "Timestamp": now,
        })
    }
}

impl Cluster {
    /// Makes the cluster's nodes those named: new ones register, others are down, known ones come back.
    pub fn set_nodes(&mut self, names: &[String], sizes: &BTreeMap<String, NodeSize>, http: &str) {
        let known: Vec<String> = self.nodes.keys().cloned().collect();
        for id in known {
            let wanted = self.nodes.get(&id).is_some_and(|n| names.contains(&n.name));
            if self.nodes.get(&id).is_some_and(|n| n.ready != wanted) {
                let index = self.change(&[Table::Nodes]);
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.ready = wanted;
                    node.modify_index = index;
                    if !wanted {
                        node.images.clear();
                    }
                }
            }
        }
        for name in names {
            if self.nodes.values().any(|n| n.name == *name) {
                continue;
            }
            let id = self.chance.uuid(&format!("node {name}"));
            let size = sizes.get(name).or_else(|| sizes.get("*")).copied().unwrap_or_default();
            let index = self.change(&[Table::Nodes]);
            let drivers = ["docker", "exec", "mock_driver", "raw_exec"].map(str::to_owned).to_vec();
            let node = Node {
                id: id.clone(),
                name: name.clone(),
                cpu: size.cpu,
                memory: size.memory,
                disk: size.disk,
                drivers,
                eligible: true,
                draining: false,
                ready: true,
                images: BTreeSet::new(),
                http: http.to_owned(),
                since: self.now,
                create_index: index,
                modify_index: index,
            };
            self.nodes.insert(id, node);
        }
        self.nodes_changed();
    }

    /// Lets a node take allocations, or not; draining ones lose theirs.
    pub fn set_node(&mut self, id: &str, eligible: bool, draining: bool) -> Option<u64> {
        self.nodes.get(id)?;
        let index = self.change(&[Table::Nodes]);
        let node = self.nodes.get_mut(id)?;
        node.eligible = eligible;
        node.draining = draining;
        node.modify_index = index;
        self.nodes_changed();
        self.end_drains();
        Some(index)
    }

    /// A drain is over once nothing runs on its node any more; the node stays ineligible.
    pub fn end_drains(&mut self) {
        let busy: BTreeSet<String> =
            self.allocations.values().filter(|a| !a.client_terminal()).map(|a| a.node.clone()).collect();
        let over: Vec<String> = self
            .nodes
            .values()
            .filter(|n| n.draining && !busy.contains(&n.id))
            .map(|n| n.id.clone())
            .collect();
        for id in over {
            let index = self.change(&[Table::Nodes]);
            if let Some(node) = self.nodes.get_mut(&id) {
                node.draining = false;
                node.eligible = false;
                node.modify_index = index;
            }
        }
    }

    /// Jobs with allocations on nodes that went, and system jobs, are looked at again.
    fn nodes_changed(&mut self) {
        let gone = |node: &str| self.nodes.get(node).is_none_or(|n| !n.ready || n.draining);
        let mut jobs: BTreeSet<JobKey> = self
            .allocations
            .values()
            .filter(|a| !a.terminal() && gone(&a.node))
            .map(|a| a.job.clone())
            .collect();
        jobs.extend(
            self.jobs
                .iter()
                .filter(|(_, j)| super::value::text(j.spec(), "Type") == "system")
                .map(|(key, _)| key.clone()),
        );
        for key in jobs {
            self.new_evaluation(&key, "node-update", 0);
        }
        self.unblock();
    }

    /// CPU and memory that a node's allocations hold.
    pub fn node_load(&self, id: &str) -> (i64, i64) {
        self.nodes.get(id).map_or((0, 0), |node| {
            let used = self.used(node, &Draft::default());
            (used.cpu, used.memory)
        })
    }
}
