//! Tasks.

use crate::jobspec::schema::job::{AFFINITY, CONSTRAINT, NETWORK_RESOURCE, RESTART_POLICY, TASK_SCALING};
use crate::jobspec::schema::row::Kind::{
    Flag, FreeMap, Many, MaybeFlag, MaybeInt, MaybeSpan, MaybeText, One, Span, Text, TextMap, Texts,
};
use crate::jobspec::schema::row::Width::{I64, U64};
use crate::jobspec::schema::row::{Struct, block, either, hidden, label, optional, required};
use crate::jobspec::schema::service::{CONSUL, SERVICE};

pub static ACTION: Struct = Struct {
    name: "Action",
    fields: &[label("Name", Text), required("Command", "command", Text), optional("Args", "args", Texts)],
    extra: &[],
};

pub static CHANGE_SCRIPT: Struct = Struct {
    name: "ChangeScript",
    fields: &[
        optional("Command", "command", MaybeText),
        optional("Args", "args", Texts),
        optional("Timeout", "timeout", MaybeSpan),
        optional("FailOnError", "fail_on_error", MaybeFlag),
        optional("RunOnFirstRender", "run_on_first_render", MaybeFlag),
    ],
    extra: &[],
};

pub static DISPATCH_PAYLOAD_CONFIG: Struct =
    Struct { name: "DispatchPayloadConfig", fields: &[optional("File", "file", Text)], extra: &[] };

pub static LOG_CONFIG: Struct = Struct {
    name: "LogConfig",
    fields: &[
        optional("MaxFiles", "max_files", MaybeInt(I64)),
        optional("MaxFileSizeMB", "max_file_size", MaybeInt(I64)),
        optional("Enabled", "enabled", MaybeFlag),
        optional("Disabled", "disabled", MaybeFlag),
    ],
    extra: &[],
};

pub static NUMA_RESOURCE: Struct = Struct {
    name: "NUMAResource",
    fields: &[optional("Affinity", "affinity", Text), optional("Devices", "devices", Texts)],
    extra: &[],
};

pub static REQUESTED_DEVICE: Struct = Struct {
    name: "RequestedDevice",
    fields: &[
        label("Name", Text),
        optional("Count", "count", MaybeInt(U64)),
        block("Constraints", "constraint", Many(&CONSTRAINT)),
        block("Affinities", "affinity", Many(&AFFINITY)),
    ],
    extra: &[],
};

pub static RESOURCES: Struct = Struct {
    name: "Resources",
    fields: &[
        optional("CPU", "cpu", MaybeInt(I64)),
        optional("Cores", "cores", MaybeInt(I64)),
        optional("MemoryMB", "memory", MaybeInt(I64)),
        optional("MemoryMaxMB", "memory_max", MaybeInt(I64)),
        optional("DiskMB", "disk", MaybeInt(I64)),
        block("Networks", "network", Many(&NETWORK_RESOURCE)),
        block("Devices", "device", Many(&REQUESTED_DEVICE)),
        block("NUMA", "numa", One(&NUMA_RESOURCE)),
        optional("SecretsMB", "secrets", MaybeInt(I64)),
        optional("IOPS", "iops", MaybeInt(I64)),
    ],
    extra: &[],
};

pub static SECRET: Struct = Struct {
    name: "Secret",
    fields: &[
        label("Name", Text),
        optional("Provider", "provider", Text),
        optional("Path", "path", Text),
        block("Config", "config", FreeMap),
        block("Env", "env", TextMap),
    ],
    extra: &[],
};

pub static TASK: Struct = Struct {
    name: "Task",
    fields: &[
        label("Name", Text),
        optional("Driver", "driver", Text),
        optional("User", "user", Text),
        block("Lifecycle", "lifecycle", One(&TASK_LIFECYCLE)),
        block("Config", "config", FreeMap),
        block("Constraints", "constraint", Many(&CONSTRAINT)),
        block("Affinities", "affinity", Many(&AFFINITY)),
        either("Env", "env", TextMap),
        block("Services", "service", Many(&SERVICE)),
        block("Resources", "resources", One(&RESOURCES)),
        block("RestartPolicy", "restart", One(&RESTART_POLICY)),
        either("Meta", "meta", TextMap),
        optional("KillTimeout", "kill_timeout", MaybeSpan),
        block("LogConfig", "logs", One(&LOG_CONFIG)),
        block("Artifacts", "artifact", Many(&TASK_ARTIFACT)),
        block("Vault", "vault", One(&VAULT)),
        block("Consul", "consul", One(&CONSUL)),
        block("Templates", "template", Many(&TEMPLATE)),
        block("DispatchPayload", "dispatch_payload", One(&DISPATCH_PAYLOAD_CONFIG)),
        block("VolumeMounts", "volume_mount", Many(&VOLUME_MOUNT)),
        block("CSIPluginConfig", "csi_plugin", One(&TASK_CSI_PLUGIN_CONFIG)),
        optional("Leader", "leader", Flag),
        optional("ShutdownDelay", "shutdown_delay", Span),
        optional("KillSignal", "kill_signal", Text),
        optional("Kind", "kind", Text),
        block("ScalingPolicies", "scaling", Many(&TASK_SCALING)),
        block("Secrets", "secret", Many(&SECRET)),
        hidden("Identity", One(&WORKLOAD_IDENTITY)),
        block("Identities", "identity", Many(&WORKLOAD_IDENTITY)),
        block("Actions", "action", Many(&ACTION)),
        block("Schedule", "schedule", One(&TASK_SCHEDULE)),
    ],
    extra: &[],
};

pub static TASK_ARTIFACT: Struct = Struct {
    name: "TaskArtifact",
    fields: &[
        optional("GetterSource", "source", MaybeText),
        block("GetterOptions", "options", TextMap),
        block("GetterHeaders", "headers", TextMap),
        optional("GetterMode", "mode", MaybeText),
        optional("GetterInsecure", "insecure", MaybeFlag),
        optional("RelativeDest", "destination", MaybeText),
        optional("Chown", "chown", Flag),
    ],
    extra: &[],
};

pub static TASK_CSI_PLUGIN_CONFIG: Struct = Struct {
    name: "TaskCSIPluginConfig",
    fields: &[
        optional("ID", "id", Text),
        optional("Type", "type", Text),
        optional("MountDir", "mount_dir", Text),
        optional("StagePublishBaseDir", "stage_publish_base_dir", Text),
        optional("HealthTimeout", "health_timeout", Span),
    ],
    extra: &[],
};

pub static TASK_LIFECYCLE: Struct = Struct {
    name: "TaskLifecycle",
    fields: &[required("Hook", "hook", Text), optional("Sidecar", "sidecar", Flag)],
    extra: &[],
};

pub static TASK_SCHEDULE: Struct =
    Struct { name: "TaskSchedule", fields: &[block("Cron", "cron", One(&TASK_SCHEDULE_CRON))], extra: &[] };

pub static TASK_SCHEDULE_CRON: Struct = Struct {
    name: "TaskScheduleCron",
    fields: &[
        optional("Start", "start", Text),
        optional("End", "end", Text),
        optional("Timezone", "timezone", Text),
    ],
    extra: &[],
};

pub static TEMPLATE: Struct = Struct {
    name: "Template",
    fields: &[
        optional("SourcePath", "source", MaybeText),
        optional("DestPath", "destination", MaybeText),
        optional("EmbeddedTmpl", "data", MaybeText),
        optional("ChangeMode", "change_mode", MaybeText),
        block("ChangeScript", "change_script", One(&CHANGE_SCRIPT)),
        optional("ChangeSignal", "change_signal", MaybeText),
        optional("Once", "once", MaybeFlag),
        optional("Splay", "splay", MaybeSpan),
        optional("Perms", "perms", MaybeText),
        optional("Uid", "uid", MaybeInt(I64)),
        optional("Gid", "gid", MaybeInt(I64)),
        optional("LeftDelim", "left_delimiter", MaybeText),
        optional("RightDelim", "right_delimiter", MaybeText),
        optional("Envvars", "env", MaybeFlag),
        optional("VaultGrace", "vault_grace", MaybeSpan),
        block("Wait", "wait", One(&WAIT_CONFIG)),
        optional("ErrMissingKey", "error_on_missing_key", MaybeFlag),
    ],
    extra: &[],
};

pub static VAULT: Struct = Struct {
    name: "Vault",
    fields: &[
        optional("Policies", "policies", Texts),
        optional("Role", "role", Text),
        optional("Namespace", "namespace", MaybeText),
        optional("Cluster", "cluster", Text),
        optional("Env", "env", MaybeFlag),
        optional("DisableFile", "disable_file", MaybeFlag),
        optional("ChangeMode", "change_mode", MaybeText),
        optional("ChangeSignal", "change_signal", MaybeText),
        optional("AllowTokenExpiration", "allow_token_expiration", MaybeFlag),
    ],
    extra: &[],
};

pub static VOLUME_MOUNT: Struct = Struct {
    name: "VolumeMount",
    fields: &[
        optional("Volume", "volume", MaybeText),
        optional("Destination", "destination", MaybeText),
        optional("ReadOnly", "read_only", MaybeFlag),
        optional("PropagationMode", "propagation_mode", MaybeText),
        optional("SELinuxLabel", "selinux_label", MaybeText),
    ],
    extra: &[],
};

pub static WAIT_CONFIG: Struct = Struct {
    name: "WaitConfig",
    fields: &[optional("Min", "min", MaybeSpan), optional("Max", "max", MaybeSpan)],
    extra: &[],
};

pub static WORKLOAD_IDENTITY: Struct = Struct {
    name: "WorkloadIdentity",
    fields: &[
        optional("Name", "name", Text),
        optional("Audience", "aud", Texts),
        optional("ChangeMode", "change_mode", Text),
        optional("ChangeSignal", "change_signal", Text),
        optional("Env", "env", Flag),
        optional("File", "file", Flag),
        optional("Filepath", "filepath", Text),
        optional("ServiceName", "service_name", Text),
        optional("TTL", "ttl", Span),
        optional("ExtraClaims", "extra_claims", Texts),
    ],
    extra: &[],
};
