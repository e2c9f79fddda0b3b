//! Services, checks and Consul's mesh.

use crate::jobspec::schema::row::Kind::{
    ByLabel, Flag, FreeMap, Int, Many, MaybeInt, MaybeSpan, One, Ports, Span, Text, TextMap, Texts, TextsMap,
};
use crate::jobspec::schema::row::Width::{I64, U16, U32};
use crate::jobspec::schema::row::{Struct, block, hidden, label, optional};
use crate::jobspec::schema::task::{LOG_CONFIG, RESOURCES, VOLUME_MOUNT, WORKLOAD_IDENTITY};

pub static CHECK_RESTART: Struct = Struct {
    name: "CheckRestart",
    fields: &[
        optional("Limit", "limit", Int(I64)),
        optional("Grace", "grace", MaybeSpan),
        optional("IgnoreWarnings", "ignore_warnings", Flag),
    ],
    extra: &[],
};

pub static CONSUL: Struct = Struct {
    name: "Consul",
    fields: &[
        optional("Namespace", "namespace", Text),
        optional("Cluster", "cluster", Text),
        optional("Partition", "partition", Text),
    ],
    extra: &[],
};

pub static CONSUL_CONNECT: Struct = Struct {
    name: "ConsulConnect",
    fields: &[
        optional("Native", "native", Flag),
        block("Gateway", "gateway", One(&CONSUL_GATEWAY)),
        block("SidecarService", "sidecar_service", One(&CONSUL_SIDECAR_SERVICE)),
        block("SidecarTask", "sidecar_task", One(&SIDECAR_TASK)),
    ],
    extra: &[],
};

pub static CONSUL_EXPOSE_CONFIG: Struct = Struct {
    name: "ConsulExposeConfig",
    fields: &[block("Paths", "path", Many(&CONSUL_EXPOSE_PATH)), hidden("Path", Many(&CONSUL_EXPOSE_PATH))],
    extra: &[],
};

pub static CONSUL_EXPOSE_PATH: Struct = Struct {
    name: "ConsulExposePath",
    fields: &[
        optional("Path", "path", Text),
        optional("Protocol", "protocol", Text),
        optional("LocalPathPort", "local_path_port", Int(I64)),
        optional("ListenerPort", "listener_port", Text),
    ],
    extra: &[],
};

pub static CONSUL_GATEWAY: Struct = Struct {
    name: "ConsulGateway",
    fields: &[
        block("Proxy", "proxy", One(&CONSUL_GATEWAY_PROXY)),
        block("Ingress", "ingress", One(&CONSUL_INGRESS_CONFIG_ENTRY)),
        block("Terminating", "terminating", One(&CONSUL_TERMINATING_CONFIG_ENTRY)),
        block("Mesh", "mesh", One(&CONSUL_MESH_CONFIG_ENTRY)),
    ],
    extra: &[],
};

pub static CONSUL_GATEWAY_BIND_ADDRESS: Struct = Struct {
    name: "ConsulGatewayBindAddress",
    fields: &[label("Name", Text), optional("Address", "address", Text), optional("Port", "port", Int(I64))],
    extra: &[],
};

pub static CONSUL_GATEWAY_PROXY: Struct = Struct {
    name: "ConsulGatewayProxy",
    fields: &[
        optional("ConnectTimeout", "connect_timeout", MaybeSpan),
        optional("EnvoyGatewayBindTaggedAddresses", "envoy_gateway_bind_tagged_addresses", Flag),
        block(
            "EnvoyGatewayBindAddresses",
            "envoy_gateway_bind_addresses",
            ByLabel(&CONSUL_GATEWAY_BIND_ADDRESS),
        ),
        optional("EnvoyGatewayNoDefaultBind", "envoy_gateway_no_default_bind", Flag),
        optional("EnvoyDNSDiscoveryType", "envoy_dns_discovery_type", Text),
        block("Config", "config", FreeMap),
    ],
    extra: &[],
};

pub static CONSUL_GATEWAY_TLS_CONFIG: Struct = Struct {
    name: "ConsulGatewayTLSConfig",
    fields: &[
        optional("Enabled", "enabled", Flag),
        optional("TLSMinVersion", "tls_min_version", Text),
        optional("TLSMaxVersion", "tls_max_version", Text),
        optional("CipherSuites", "cipher_suites", Texts),
        block("SDS", "sds", One(&CONSUL_GATEWAY_TLSSDS_CONFIG)),
    ],
    extra: &[],
};

pub static CONSUL_GATEWAY_TLSSDS_CONFIG: Struct = Struct {
    name: "ConsulGatewayTLSSDSConfig",
    fields: &[optional("ClusterName", "cluster_name", Text), optional("CertResource", "cert_resource", Text)],
    extra: &[],
};

pub static CONSUL_HTTP_HEADER_MODIFIERS: Struct = Struct {
    name: "ConsulHTTPHeaderModifiers",
    fields: &[
        block("Add", "add", TextMap),
        block("Set", "set", TextMap),
        optional("Remove", "remove", Texts),
    ],
    extra: &[],
};

pub static CONSUL_INGRESS_CONFIG_ENTRY: Struct = Struct {
    name: "ConsulIngressConfigEntry",
    fields: &[
        block("TLS", "tls", One(&CONSUL_GATEWAY_TLS_CONFIG)),
        block("Listeners", "listener", Many(&CONSUL_INGRESS_LISTENER)),
    ],
    extra: &[],
};

pub static CONSUL_INGRESS_LISTENER: Struct = Struct {
    name: "ConsulIngressListener",
    fields: &[
        optional("Port", "port", Int(I64)),
        optional("Protocol", "protocol", Text),
        block("Services", "service", Many(&CONSUL_INGRESS_SERVICE)),
    ],
    extra: &[],
};

pub static CONSUL_INGRESS_SERVICE: Struct = Struct {
    name: "ConsulIngressService",
    fields: &[
        optional("Name", "name", Text),
        optional("Hosts", "hosts", Texts),
        block("TLS", "tls", One(&CONSUL_GATEWAY_TLS_CONFIG)),
        block("RequestHeaders", "request_headers", One(&CONSUL_HTTP_HEADER_MODIFIERS)),
        block("ResponseHeaders", "response_headers", One(&CONSUL_HTTP_HEADER_MODIFIERS)),
        optional("MaxConnections", "max_connections", MaybeInt(U32)),
        optional("MaxPendingRequests", "max_pending_requests", MaybeInt(U32)),
        optional("MaxConcurrentRequests", "max_concurrent_requests", MaybeInt(U32)),
    ],
    extra: &[],
};

pub static CONSUL_LINKED_SERVICE: Struct = Struct {
    name: "ConsulLinkedService",
    fields: &[
        optional("Name", "name", Text),
        optional("CAFile", "ca_file", Text),
        optional("CertFile", "cert_file", Text),
        optional("KeyFile", "key_file", Text),
        optional("SNI", "sni", Text),
    ],
    extra: &[],
};

pub static CONSUL_MESH_GATEWAY: Struct =
    Struct { name: "ConsulMeshGateway", fields: &[optional("Mode", "mode", Text)], extra: &[] };

pub static CONSUL_PROXY: Struct = Struct {
    name: "ConsulProxy",
    fields: &[
        optional("LocalServiceAddress", "local_service_address", Text),
        optional("LocalServicePort", "local_service_port", Int(I64)),
        block("Expose", "expose", One(&CONSUL_EXPOSE_CONFIG)),
        hidden("ExposeConfig", One(&CONSUL_EXPOSE_CONFIG)),
        block("Upstreams", "upstreams", Many(&CONSUL_UPSTREAM)),
        block("TransparentProxy", "transparent_proxy", One(&CONSUL_TRANSPARENT_PROXY)),
        block("Config", "config", FreeMap),
    ],
    extra: &[],
};

pub static CONSUL_SIDECAR_SERVICE: Struct = Struct {
    name: "ConsulSidecarService",
    fields: &[
        optional("Tags", "tags", Texts),
        optional("Port", "port", Text),
        block("Proxy", "proxy", One(&CONSUL_PROXY)),
        optional("DisableDefaultTCPCheck", "disable_default_tcp_check", Flag),
        block("Meta", "meta", TextMap),
    ],
    extra: &[],
};

pub static CONSUL_TERMINATING_CONFIG_ENTRY: Struct = Struct {
    name: "ConsulTerminatingConfigEntry",
    fields: &[block("Services", "service", Many(&CONSUL_LINKED_SERVICE))],
    extra: &[],
};

pub static CONSUL_TRANSPARENT_PROXY: Struct = Struct {
    name: "ConsulTransparentProxy",
    fields: &[
        optional("UID", "uid", Text),
        optional("OutboundPort", "outbound_port", Int(U16)),
        optional("ExcludeInboundPorts", "exclude_inbound_ports", Texts),
        optional("ExcludeOutboundPorts", "exclude_outbound_ports", Ports),
        optional("ExcludeOutboundCIDRs", "exclude_outbound_cidrs", Texts),
        optional("ExcludeUIDs", "exclude_uids", Texts),
        optional("NoDNS", "no_dns", Flag),
    ],
    extra: &[],
};

pub static CONSUL_UPSTREAM: Struct = Struct {
    name: "ConsulUpstream",
    fields: &[
        optional("DestinationName", "destination_name", Text),
        optional("DestinationNamespace", "destination_namespace", Text),
        optional("DestinationPeer", "destination_peer", Text),
        optional("DestinationPartition", "destination_partition", Text),
        optional("DestinationType", "destination_type", Text),
        optional("LocalBindPort", "local_bind_port", Int(I64)),
        optional("Datacenter", "datacenter", Text),
        optional("LocalBindAddress", "local_bind_address", Text),
        optional("LocalBindSocketPath", "local_bind_socket_path", Text),
        optional("LocalBindSocketMode", "local_bind_socket_mode", Text),
        block("MeshGateway", "mesh_gateway", One(&CONSUL_MESH_GATEWAY)),
        block("Config", "config", FreeMap),
    ],
    extra: &[],
};

pub static SERVICE: Struct = Struct {
    name: "Service",
    fields: &[
        optional("Name", "name", Text),
        optional("Tags", "tags", Texts),
        optional("CanaryTags", "canary_tags", Texts),
        optional("EnableTagOverride", "enable_tag_override", Flag),
        optional("PortLabel", "port", Text),
        optional("AddressMode", "address_mode", Text),
        optional("Address", "address", Text),
        block("Checks", "check", Many(&SERVICE_CHECK)),
        block("CheckRestart", "check_restart", One(&CHECK_RESTART)),
        block("Connect", "connect", One(&CONSUL_CONNECT)),
        block("Meta", "meta", TextMap),
        block("CanaryMeta", "canary_meta", TextMap),
        block("TaggedAddresses", "tagged_addresses", TextMap),
        optional("TaskName", "task", Text),
        optional("OnUpdate", "on_update", Text),
        block("Identity", "identity", One(&WORKLOAD_IDENTITY)),
        block("Weights", "weights", One(&SERVICE_WEIGHTS)),
        optional("Provider", "provider", Text),
        optional("Cluster", "cluster", Text),
        optional("Kind", "kind", Text),
    ],
    extra: &[],
};

pub static SERVICE_CHECK: Struct = Struct {
    name: "ServiceCheck",
    fields: &[
        optional("Name", "name", Text),
        optional("Type", "type", Text),
        optional("Command", "command", Text),
        optional("Args", "args", Texts),
        optional("Path", "path", Text),
        optional("Protocol", "protocol", Text),
        optional("PortLabel", "port", Text),
        optional("Expose", "expose", Flag),
        optional("AddressMode", "address_mode", Text),
        optional("Advertise", "advertise", Text),
        optional("Interval", "interval", Span),
        optional("Timeout", "timeout", Span),
        optional("InitialStatus", "initial_status", Text),
        optional("Notes", "notes", Text),
        optional("TLSServerName", "tls_server_name", Text),
        optional("TLSSkipVerify", "tls_skip_verify", Flag),
        block("Header", "header", TextsMap),
        optional("Method", "method", Text),
        block("CheckRestart", "check_restart", One(&CHECK_RESTART)),
        optional("GRPCService", "grpc_service", Text),
        optional("GRPCUseTLS", "grpc_use_tls", Flag),
        optional("TaskName", "task", Text),
        optional("SuccessBeforePassing", "success_before_passing", Int(I64)),
        optional("FailuresBeforeCritical", "failures_before_critical", Int(I64)),
        optional("FailuresBeforeWarning", "failures_before_warning", Int(I64)),
        optional("Body", "body", Text),
        optional("OnUpdate", "on_update", Text),
    ],
    extra: &[],
};

pub static SERVICE_WEIGHTS: Struct = Struct {
    name: "ServiceWeights",
    fields: &[optional("Passing", "passing", Int(I64)), optional("Warning", "warning", Int(I64))],
    extra: &[],
};

pub static SIDECAR_TASK: Struct = Struct {
    name: "SidecarTask",
    fields: &[
        optional("Name", "name", Text),
        optional("Driver", "driver", Text),
        optional("User", "user", Text),
        block("Config", "config", FreeMap),
        block("Env", "env", TextMap),
        block("Resources", "resources", One(&RESOURCES)),
        block("Meta", "meta", TextMap),
        optional("KillTimeout", "kill_timeout", MaybeSpan),
        block("LogConfig", "logs", One(&LOG_CONFIG)),
        optional("ShutdownDelay", "shutdown_delay", MaybeSpan),
        optional("KillSignal", "kill_signal", Text),
        block("VolumeMounts", "volume_mount", Many(&VOLUME_MOUNT)),
        block("Identities", "identity", Many(&WORKLOAD_IDENTITY)),
    ],
    extra: &[],
};

pub static CONSUL_MESH_CONFIG_ENTRY: Struct =
    Struct { name: "ConsulMeshConfigEntry", fields: &[], extra: &[] };
