//! Jobs, groups and what they have besides tasks and services.

use crate::jobspec::schema::row::Kind::{
    ByLabel, Flag, FreeMap, Int, Many, MaybeFlag, MaybeInt, MaybeSpan, MaybeText, One, Text, TextMap, Texts,
};
use crate::jobspec::schema::row::Width::{I8, I64, U8, U64};
use crate::jobspec::schema::row::{Struct, block, either, hidden, label, optional};
use crate::jobspec::schema::service::{CONSUL, SERVICE};
use crate::jobspec::schema::task::{SECRET, TASK, VAULT};

pub static JOB: Struct = Struct {
    name: "Job",
    fields: &[
        optional("Region", "region", MaybeText),
        optional("Namespace", "namespace", MaybeText),
        optional("ID", "id", MaybeText),
        optional("Name", "name", MaybeText),
        optional("Type", "type", MaybeText),
        optional("Priority", "priority", MaybeInt(I64)),
        optional("AllAtOnce", "all_at_once", MaybeFlag),
        optional("Datacenters", "datacenters", Texts),
        optional("NodePool", "node_pool", MaybeText),
        block("Constraints", "constraint", Many(&CONSTRAINT)),
        block("Affinities", "affinity", Many(&AFFINITY)),
        block("TaskGroups", "group", Many(&TASK_GROUP)),
        block("Update", "update", One(&UPDATE_STRATEGY)),
        block("Multiregion", "multiregion", One(&MULTIREGION)),
        block("Spreads", "spread", Many(&SPREAD)),
        block("Periodic", "periodic", One(&PERIODIC_CONFIG)),
        block("ParameterizedJob", "parameterized", One(&PARAMETERIZED_JOB_CONFIG)),
        block("Reschedule", "reschedule", One(&RESCHEDULE_POLICY)),
        block("Migrate", "migrate", One(&MIGRATE_STRATEGY)),
        either("Meta", "meta", TextMap),
        block("UI", "ui", One(&JOB_UI_CONFIG)),
        hidden("Stop", MaybeFlag),
        hidden("ParentID", MaybeText),
        hidden("Dispatched", Flag),
        hidden("DispatchIdempotencyToken", MaybeText),
        hidden("Payload", Texts),
        hidden("ConsulNamespace", MaybeText),
        hidden("VaultNamespace", MaybeText),
        hidden("NomadTokenID", MaybeText),
        hidden("Status", MaybeText),
        hidden("StatusDescription", MaybeText),
        hidden("Stable", MaybeFlag),
        hidden("Version", MaybeInt(U64)),
        hidden("SubmitTime", MaybeInt(I64)),
        hidden("CreateIndex", MaybeInt(U64)),
        hidden("ModifyIndex", MaybeInt(U64)),
        hidden("JobModifyIndex", MaybeInt(U64)),
        hidden("VersionTag", One(&JOB_VERSION_TAG)),
    ],
    extra: &[
        block("vault", "vault", One(&VAULT)),
        block("secret", "secret", Many(&SECRET)),
        block("task", "task", Many(&TASK)),
    ],
};

pub static JOB_UI_CONFIG: Struct = Struct {
    name: "JobUIConfig",
    fields: &[optional("Description", "description", Text), block("Links", "link", Many(&JOB_UI_LINK))],
    extra: &[],
};

pub static JOB_UI_LINK: Struct = Struct {
    name: "JobUILink",
    fields: &[optional("Label", "label", Text), optional("URL", "url", Text)],
    extra: &[],
};

pub static JOB_VERSION_TAG: Struct = Struct {
    name: "JobVersionTag",
    fields: &[hidden("Name", Text), hidden("Description", Text), hidden("TaggedTime", Int(I64))],
    extra: &[],
};

pub static MULTIREGION: Struct = Struct {
    name: "Multiregion",
    fields: &[
        block("Strategy", "strategy", One(&MULTIREGION_STRATEGY)),
        block("Regions", "region", Many(&MULTIREGION_REGION)),
    ],
    extra: &[],
};

pub static MULTIREGION_REGION: Struct = Struct {
    name: "MultiregionRegion",
    fields: &[
        label("Name", Text),
        optional("Count", "count", MaybeInt(I64)),
        optional("Datacenters", "datacenters", Texts),
        optional("NodePool", "node_pool", Text),
        block("Meta", "meta", TextMap),
    ],
    extra: &[],
};

pub static MULTIREGION_STRATEGY: Struct = Struct {
    name: "MultiregionStrategy",
    fields: &[
        optional("MaxParallel", "max_parallel", MaybeInt(I64)),
        optional("OnFailure", "on_failure", MaybeText),
    ],
    extra: &[],
};

pub static PARAMETERIZED_JOB_CONFIG: Struct = Struct {
    name: "ParameterizedJobConfig",
    fields: &[
        optional("Payload", "payload", Text),
        optional("MetaRequired", "meta_required", Texts),
        optional("MetaOptional", "meta_optional", Texts),
    ],
    extra: &[],
};

pub static PERIODIC_CONFIG: Struct = Struct {
    name: "PeriodicConfig",
    fields: &[
        optional("Enabled", "enabled", MaybeFlag),
        optional("Spec", "cron", MaybeText),
        optional("Specs", "crons", Texts),
        hidden("SpecType", MaybeText),
        optional("ProhibitOverlap", "prohibit_overlap", MaybeFlag),
        optional("TimeZone", "time_zone", MaybeText),
    ],
    extra: &[],
};

pub static TASK_GROUP: Struct = Struct {
    name: "TaskGroup",
    fields: &[
        label("Name", MaybeText),
        optional("Count", "count", MaybeInt(I64)),
        block("Constraints", "constraint", Many(&CONSTRAINT)),
        block("Affinities", "affinity", Many(&AFFINITY)),
        block("Tasks", "task", Many(&TASK)),
        block("Spreads", "spread", Many(&SPREAD)),
        block("Volumes", "volume", ByLabel(&VOLUME_REQUEST)),
        block("RestartPolicy", "restart", One(&RESTART_POLICY)),
        block("Disconnect", "disconnect", One(&DISCONNECT_STRATEGY)),
        block("ReschedulePolicy", "reschedule", One(&RESCHEDULE_POLICY)),
        block("EphemeralDisk", "ephemeral_disk", One(&EPHEMERAL_DISK)),
        block("Update", "update", One(&UPDATE_STRATEGY)),
        block("Migrate", "migrate", One(&MIGRATE_STRATEGY)),
        block("Networks", "network", Many(&NETWORK_RESOURCE)),
        either("Meta", "meta", TextMap),
        block("Services", "service", Many(&SERVICE)),
        optional("ShutdownDelay", "shutdown_delay", MaybeSpan),
        optional("MaxRunDuration", "max_run_duration", MaybeSpan),
        optional("StopAfterClientDisconnect", "stop_after_client_disconnect", MaybeSpan),
        optional("MaxClientDisconnect", "max_client_disconnect", MaybeSpan),
        block("Scaling", "scaling", One(&GROUP_SCALING)),
        block("Consul", "consul", One(&CONSUL)),
        optional("PreventRescheduleOnLost", "prevent_reschedule_on_lost", MaybeFlag),
    ],
    extra: &[block("vault", "vault", Many(&VAULT)), block("secret", "secret", Many(&SECRET))],
};

/// A policy in a group.
pub static GROUP_SCALING: Struct = Struct {
    name: "GroupScaling",
    fields: &[
        optional("Min", "min", MaybeInt(I64)),
        optional("Max", "max", MaybeInt(I64)),
        block("Policy", "policy", FreeMap),
        optional("Enabled", "enabled", MaybeFlag),
        optional("Type", "type", Text),
        hidden("ID", Text),
        hidden("Namespace", Text),
        hidden("Target", TextMap),
        hidden("CreateIndex", Int(U64)),
        hidden("ModifyIndex", Int(U64)),
    ],
    extra: &[],
};

/// A policy in a task: its label says what it scales.
pub static TASK_SCALING: Struct = Struct {
    name: "TaskScaling",
    fields: &[
        label("label", Text),
        optional("Min", "min", MaybeInt(I64)),
        optional("Max", "max", MaybeInt(I64)),
        block("Policy", "policy", FreeMap),
        optional("Enabled", "enabled", MaybeFlag),
        optional("Type", "type", Text),
        hidden("ID", Text),
        hidden("Namespace", Text),
        hidden("Target", TextMap),
        hidden("CreateIndex", Int(U64)),
        hidden("ModifyIndex", Int(U64)),
    ],
    extra: &[],
};

pub static UPDATE_STRATEGY: Struct = Struct {
    name: "UpdateStrategy",
    fields: &[
        optional("Stagger", "stagger", MaybeSpan),
        optional("MaxParallel", "max_parallel", MaybeInt(I64)),
        optional("HealthCheck", "health_check", MaybeText),
        optional("MinHealthyTime", "min_healthy_time", MaybeSpan),
        optional("HealthyDeadline", "healthy_deadline", MaybeSpan),
        optional("ProgressDeadline", "progress_deadline", MaybeSpan),
        optional("Canary", "canary", MaybeInt(I64)),
        optional("AutoRevert", "auto_revert", MaybeFlag),
        optional("AutoPromote", "auto_promote", MaybeFlag),
    ],
    extra: &[],
};

pub static MIGRATE_STRATEGY: Struct = Struct {
    name: "MigrateStrategy",
    fields: &[
        optional("MaxParallel", "max_parallel", MaybeInt(I64)),
        optional("HealthCheck", "health_check", MaybeText),
        optional("MinHealthyTime", "min_healthy_time", MaybeSpan),
        optional("HealthyDeadline", "healthy_deadline", MaybeSpan),
    ],
    extra: &[],
};

pub static RESCHEDULE_POLICY: Struct = Struct {
    name: "ReschedulePolicy",
    fields: &[
        optional("Attempts", "attempts", MaybeInt(I64)),
        optional("Interval", "interval", MaybeSpan),
        optional("Delay", "delay", MaybeSpan),
        optional("DelayFunction", "delay_function", MaybeText),
        optional("MaxDelay", "max_delay", MaybeSpan),
        optional("Unlimited", "unlimited", MaybeFlag),
    ],
    extra: &[],
};

pub static RESTART_POLICY: Struct = Struct {
    name: "RestartPolicy",
    fields: &[
        optional("Interval", "interval", MaybeSpan),
        optional("Attempts", "attempts", MaybeInt(I64)),
        optional("Delay", "delay", MaybeSpan),
        optional("Mode", "mode", MaybeText),
        optional("RenderTemplates", "render_templates", MaybeFlag),
    ],
    extra: &[],
};

pub static DISCONNECT_STRATEGY: Struct = Struct {
    name: "DisconnectStrategy",
    fields: &[
        optional("LostAfter", "lost_after", MaybeSpan),
        optional("StopOnClientAfter", "stop_on_client_after", MaybeSpan),
        optional("Replace", "replace", MaybeFlag),
        optional("Reconcile", "reconcile", MaybeText),
    ],
    extra: &[],
};

pub static EPHEMERAL_DISK: Struct = Struct {
    name: "EphemeralDisk",
    fields: &[
        optional("Sticky", "sticky", MaybeFlag),
        optional("Migrate", "migrate", MaybeFlag),
        optional("SizeMB", "size", MaybeInt(I64)),
    ],
    extra: &[],
};

pub static SPREAD: Struct = Struct {
    name: "Spread",
    fields: &[
        optional("Attribute", "attribute", Text),
        optional("Weight", "weight", MaybeInt(I8)),
        block("SpreadTarget", "target", Many(&SPREAD_TARGET)),
    ],
    extra: &[],
};

pub static SPREAD_TARGET: Struct = Struct {
    name: "SpreadTarget",
    fields: &[label("Value", Text), optional("Percent", "percent", Int(U8))],
    extra: &[],
};

pub static AFFINITY: Struct = Struct {
    name: "Affinity",
    fields: &[
        optional("LTarget", "attribute", Text),
        optional("RTarget", "value", Text),
        optional("Operand", "operator", Text),
        optional("Weight", "weight", MaybeInt(I8)),
    ],
    extra: &[],
};

pub static CONSTRAINT: Struct = Struct {
    name: "Constraint",
    fields: &[
        optional("LTarget", "attribute", Text),
        optional("RTarget", "value", Text),
        optional("Operand", "operator", Text),
    ],
    extra: &[],
};

pub static VOLUME_REQUEST: Struct = Struct {
    name: "VolumeRequest",
    fields: &[
        label("Name", Text),
        optional("Type", "type", Text),
        optional("Source", "source", Text),
        optional("ReadOnly", "read_only", Flag),
        optional("Sticky", "sticky", Flag),
        optional("AccessMode", "access_mode", Text),
        optional("AttachmentMode", "attachment_mode", Text),
        block("MountOptions", "mount_options", One(&CSI_MOUNT_OPTIONS)),
        optional("PerAlloc", "per_alloc", Flag),
    ],
    extra: &[],
};

pub static CSI_MOUNT_OPTIONS: Struct = Struct {
    name: "CSIMountOptions",
    fields: &[optional("FSType", "fs_type", Text), optional("MountFlags", "mount_flags", Texts)],
    extra: &[],
};

pub static NETWORK_RESOURCE: Struct = Struct {
    name: "NetworkResource",
    fields: &[
        optional("Mode", "mode", Text),
        optional("Device", "device", Text),
        optional("CIDR", "cidr", Text),
        optional("IP", "ip", Text),
        block("DNS", "dns", One(&DNS_CONFIG)),
        block("ReservedPorts", "reserved_ports", Many(&PORT)),
        block("DynamicPorts", "port", Many(&PORT)),
        optional("Hostname", "hostname", Text),
        optional("MBits", "mbits", MaybeInt(I64)),
        block("CNI", "cni", One(&CNI_CONFIG)),
    ],
    extra: &[],
};

pub static PORT: Struct = Struct {
    name: "Port",
    fields: &[
        label("Label", Text),
        optional("Value", "static", Int(I64)),
        optional("To", "to", Int(I64)),
        optional("HostNetwork", "host_network", Text),
        optional("IgnoreCollision", "ignore_collision", Flag),
    ],
    extra: &[],
};

pub static DNS_CONFIG: Struct = Struct {
    name: "DNSConfig",
    fields: &[
        optional("Servers", "servers", Texts),
        optional("Searches", "searches", Texts),
        optional("Options", "options", Texts),
    ],
    extra: &[],
};

pub static CNI_CONFIG: Struct =
    Struct { name: "CNIConfig", fields: &[optional("Args", "args", TextMap)], extra: &[] };
