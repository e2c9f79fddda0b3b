//! Fills in what a job leaves out, as Nomad's server does (`api.Job.Canonicalize`, then
//! `structs.Job.Canonicalize`, of Nomad 2.0). What is not known here is kept as it came.

use serde_json::{Map, Value, json};

use super::implied;
use super::value::{array, empty, int, set, text, truthy};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// The job as the server keeps it. Indexes, version, status and submit time are left to the register call.
pub fn job(given: &Value) -> Value {
    let mut job = filled(given, &job_defaults(given));
    let kind = text(&job, "Type").to_owned();
    for key in ["Reschedule", "Migrate", "VaultToken", "ConsulToken"] {
        if let Some(map) = job.as_object_mut() {
            map.remove(key);
        }
    }
    if text(&job, "Name").is_empty() {
        let id = job["ID"].clone();
        set(&mut job, "Name", id);
    }
    if text(&job, "Namespace").is_empty() {
        set(&mut job, "Namespace", json!("default"));
    }
    if array(&job, "Datacenters").is_empty() {
        set(&mut job, "Datacenters", json!(["*"]));
    }
    if text(&job, "NodePool").is_empty() {
        set(&mut job, "NodePool", json!("default"));
    }
    if int(&job, "Priority") == 0 {
        set(&mut job, "Priority", json!(50));
    }
    for key in ["Meta", "Constraints", "Affinities", "Spreads"] {
        null_if_empty(&mut job, key);
    }
    constraints(&mut job);
    let rolling = kind == "service" || kind == "system";
    let update = match &given["Update"] {
        Value::Object(_) => Some(filled(&given["Update"], &update_defaults())),
        _ if rolling => Some(filled(&Value::Null, &update_defaults())),
        _ => None,
    };
    if !given["Periodic"].is_null() {
        let mut periodic = filled(&given["Periodic"], &periodic_defaults());
        if text(&periodic, "TimeZone").is_empty() {
            set(&mut periodic, "TimeZone", json!("UTC"));
        }
        set(&mut job, "Periodic", periodic);
    }
    if !given["ParameterizedJob"].is_null() {
        let mut parameterized = filled(
            &given["ParameterizedJob"],
            &json!({"Payload": "optional", "MetaRequired": null, "MetaOptional": null}),
        );
        if text(&parameterized, "Payload").is_empty() {
            set(&mut parameterized, "Payload", json!("optional"));
        }
        set(&mut job, "ParameterizedJob", parameterized);
    }
    let context = Context {
        kind,
        name: text(&job, "Name").to_owned(),
        namespace: text(&job, "Namespace").to_owned(),
        update: update.clone(),
        reschedule: given["Reschedule"].clone(),
        migrate: given["Migrate"].clone(),
    };
    let groups: Vec<Value> = array(given, "TaskGroups").iter().map(|g| group(g, &context)).collect();
    set(&mut job, "TaskGroups", if groups.is_empty() { Value::Null } else { Value::Array(groups) });
    // The server keeps only these two of a job's own update block: groups hold the whole of it.
    let mut kept = json!({"Stagger": 0, "MaxParallel": 0, "HealthCheck": "", "MinHealthyTime": 0,
        "HealthyDeadline": 0, "ProgressDeadline": 0, "AutoRevert": false, "AutoPromote": false, "Canary": 0});
    if let Some(update) = update {
        set(&mut kept, "Stagger", update["Stagger"].clone());
        set(&mut kept, "MaxParallel", update["MaxParallel"].clone());
    }
    set(&mut job, "Update", kept);
    job
}

struct Context {
    kind: String,
    name: String,
    namespace: String,
    update: Option<Value>,
    reschedule: Value,
    migrate: Value,
}

fn group(given: &Value, job: &Context) -> Value {
    let mut group = filled(given, &group_defaults());
    if given["Count"].is_null() {
        let least = given["Scaling"]["Min"].as_i64().unwrap_or(1);
        set(&mut group, "Count", json!(least));
    }
    for key in ["Meta", "Constraints", "Affinities", "Spreads"] {
        null_if_empty(&mut group, key);
    }
    constraints(&mut group);
    let service_like = job.kind == "service" || job.kind == "system";
    let restart = if service_like {
        json!({"Attempts": 2, "Interval": 30 * MINUTE, "Delay": 15 * SECOND, "Mode": "fail", "RenderTemplates": false})
    } else {
        json!({"Attempts": 3, "Interval": 24 * HOUR, "Delay": 15 * SECOND, "Mode": "fail", "RenderTemplates": false})
    };
    set(&mut group, "RestartPolicy", filled(&given["RestartPolicy"], &restart));
    let restart = group["RestartPolicy"].clone();
    let update = match (&job.update, given["Update"].is_object()) {
        (Some(of_job), true) => Some(filled(&given["Update"], of_job)),
        (None, true) => Some(filled(&given["Update"], &update_defaults())),
        (Some(of_job), false) => Some(of_job.clone()),
        (None, false) => None,
    };
    set(&mut group, "Update", update.unwrap_or(Value::Null));
    if job.kind == "service" || job.kind == "batch" {
        let base = filled(&job.reschedule, &reschedule_defaults(&job.kind));
        set(&mut group, "ReschedulePolicy", filled(&given["ReschedulePolicy"], &base));
    }
    if job.kind == "service" {
        let base = filled(
            &job.migrate,
            &json!({"MaxParallel": 1, "HealthCheck": "checks", "MinHealthyTime": 10 * SECOND,
                "HealthyDeadline": 5 * MINUTE}),
        );
        set(&mut group, "Migrate", filled(&given["Migrate"], &base));
    }
    let disk = json!({"Sticky": false, "SizeMB": 300, "Migrate": false});
    set(&mut group, "EphemeralDisk", filled(&given["EphemeralDisk"], &disk));
    let networks = networks(given);
    set(&mut group, "Networks", networks);
    let name = text(&group, "Name").to_owned();
    let services = services(given, job, &name, None);
    if group["Consul"].is_object() {
        let consul = json!({"Namespace": "", "Cluster": "default", "Partition": ""});
        let mut filled = filled(&given["Consul"], &consul);
        if text(&filled, "Cluster").is_empty() {
            set(&mut filled, "Cluster", json!("default"));
        }
        set(&mut group, "Consul", filled);
    }
    // Given up for what a `disconnect` block says; the server forgets them.
    for key in ["MaxClientDisconnect", "StopAfterClientDisconnect"] {
        set(&mut group, key, Value::Null);
    }
    set(&mut group, "Services", services);
    let tasks: Vec<Value> = array(given, "Tasks").iter().map(|t| task(t, job, &name, &restart)).collect();
    set(&mut group, "Tasks", if tasks.is_empty() { Value::Null } else { Value::Array(tasks) });
    implied::constraints(&mut group);
    group
}

fn task(given: &Value, job: &Context, group: &str, restart: &Value) -> Value {
    let mut task = filled(given, &task_defaults());
    for key in ["Meta", "Config", "Env", "Constraints", "Affinities", "VolumeMounts"] {
        null_if_empty(&mut task, key);
    }
    constraints(&mut task);
    if int(&task, "KillTimeout") == 0 {
        set(&mut task, "KillTimeout", json!(5 * SECOND));
    }
    let log = json!({"MaxFiles": 10, "MaxFileSizeMB": 10, "Disabled": false});
    let mut log = filled(&given["LogConfig"], &log);
    if let Some(map) = log.as_object_mut() {
        map.remove("Enabled");
    }
    set(&mut task, "LogConfig", log);
    set(&mut task, "RestartPolicy", filled(&given["RestartPolicy"], restart));
    let cores = given["Resources"]["Cores"].as_i64().unwrap_or(0);
    let mut resources = filled(
        &given["Resources"],
        &json!({"CPU": if cores > 0 { 0 } else { 100 }, "Cores": 0, "MemoryMB": 300, "MemoryMaxMB": 0,
            "DiskMB": 0, "IOPS": 0, "Networks": null, "Devices": null, "NUMA": null, "SecretsMB": 0}),
    );
    let networks = networks(&given["Resources"]);
    set(&mut resources, "Networks", networks);
    null_if_empty(&mut resources, "Devices");
    // The disk is the group's.
    set(&mut resources, "DiskMB", json!(0));
    set(&mut task, "Resources", resources);
    let name = text(&task, "Name").to_owned();
    let services = services(given, job, group, Some(&name));
    set(&mut task, "Services", services);
    let artifacts: Vec<Value> = array(given, "Artifacts").iter().map(artifact).collect();
    set(&mut task, "Artifacts", Value::Array(artifacts));
    let mount = json!({"ReadOnly": false, "PropagationMode": "private", "SELinuxLabel": ""});
    let mounts: Vec<Value> = array(given, "VolumeMounts").iter().map(|given| filled(given, &mount)).collect();
    set(&mut task, "VolumeMounts", if mounts.is_empty() { Value::Null } else { Value::Array(mounts) });
    let templates: Vec<Value> = array(given, "Templates").iter().map(template).collect();
    set(&mut task, "Templates", if templates.is_empty() { Value::Null } else { Value::Array(templates) });
    let identity = json!({"Name": "default", "Audience": ["nomadproject.io"], "ChangeMode": "",
        "ChangeSignal": "", "Env": false, "File": false, "Filepath": "", "ServiceName": "", "TTL": 0,
        "ExtraClaims": null});
    set(&mut task, "Identity", filled(&given["Identity"], &identity));
    for key in ["Artifacts", "ScalingPolicies", "Secrets", "Identities", "Actions"] {
        null_if_empty(&mut task, key);
    }
    if !truthy(&given["Lifecycle"]["Hook"]) {
        set(&mut task, "Lifecycle", Value::Null);
    }
    task
}

fn artifact(given: &Value) -> Value {
    let mode = given["GetterMode"].as_str().unwrap_or("any");
    let file = text(given, "GetterSource").trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let place = if mode == "file" { format!("local/{file}") } else { "local/".to_owned() };
    let mut artifact = filled(
        given,
        &json!({"GetterMode": "any", "GetterInsecure": false, "GetterSource": "", "GetterOptions": null,
            "GetterHeaders": null, "RelativeDest": place, "Chown": false}),
    );
    null_if_empty(&mut artifact, "GetterOptions");
    null_if_empty(&mut artifact, "GetterHeaders");
    artifact
}

fn template(given: &Value) -> Value {
    let mode = given["ChangeMode"].as_str().unwrap_or("restart");
    let signal = if mode == "signal" { "SIGHUP" } else { "" };
    filled(
        given,
        &json!({"SourcePath": "", "DestPath": "", "EmbeddedTmpl": "", "ChangeMode": "restart",
            "ChangeSignal": signal, "ChangeScript": null, "Once": false, "Splay": 5 * SECOND, "Perms": "0644",
            "Uid": null, "Gid": null, "LeftDelim": "{{", "RightDelim": "}}", "Envvars": false,
            "VaultGrace": 0, "Wait": null, "ErrMissingKey": false}),
    )
}

/// Networks and their ports are written without their empty fields.
fn networks(holder: &Value) -> Value {
    let networks: Vec<Value> = array(holder, "Networks")
        .iter()
        .map(|given| {
            let mut network = given.clone();
            for key in ["ReservedPorts", "DynamicPorts"] {
                for port in network[key].as_array_mut().into_iter().flatten() {
                    if text(port, "HostNetwork").is_empty() {
                        set(port, "HostNetwork", json!("default"));
                    }
                    without_nothing(port);
                }
            }
            without_nothing(&mut network);
            network
        })
        .collect();
    if networks.is_empty() { Value::Null } else { Value::Array(networks) }
}

fn without_nothing(holder: &mut Value) {
    if let Some(map) = holder.as_object_mut() {
        map.retain(|_, value| truthy(value));
    }
}

/// Of a task where one is named, else of a group.
fn services(holder: &Value, job: &Context, group: &str, task: Option<&str>) -> Value {
    let services: Vec<Value> = array(holder, "Services")
        .iter()
        .map(|given| {
            let mut service = filled(given, &service_defaults(&job.namespace));
            let name = text(&service, "Name");
            // In names a group's service has a task called so.
            let base = format!("{}-{group}-{}", job.name, task.unwrap_or("group"));
            let name = if name.is_empty() {
                if task.is_none() { format!("{}-{group}", job.name) } else { base }
            } else {
                name.replace("${JOB}", &job.name)
                    .replace("${TASKGROUP}", group)
                    .replace("${TASK}", task.unwrap_or("group"))
                    .replace("${BASE}", &base)
            };
            set(&mut service, "Name", json!(name.clone()));
            let usual = [
                ("Provider", "consul"),
                ("AddressMode", "auto"),
                ("Cluster", "default"),
                ("OnUpdate", "require_healthy"),
            ];
            for (key, value) in usual {
                if text(&service, key).is_empty() {
                    set(&mut service, key, json!(value));
                }
            }
            if let Some(task) = task {
                set(&mut service, "TaskName", json!(task));
            }
            let of_task = text(&service, "TaskName").to_owned();
            let checks: Vec<Value> =
                array(given, "Checks").iter().map(|own| check(own, &service, &of_task)).collect();
            set(&mut service, "Checks", if checks.is_empty() { Value::Null } else { Value::Array(checks) });
            for key in ["Tags", "CanaryTags", "Meta", "CanaryMeta", "TaggedAddresses"] {
                null_if_empty(&mut service, key);
            }
            if let Some(map) = service.as_object_mut() {
                map.remove("Id");
                map.remove("CheckRestart");
            }
            service
        })
        .collect();
    if services.is_empty() { Value::Null } else { Value::Array(services) }
}

fn check(given: &Value, service: &Value, task: &str) -> Value {
    let mut check = filled(
        given,
        &json!({"Name": "", "Type": "", "Command": "", "Args": null, "Path": "", "Protocol": "",
            "PortLabel": "", "Expose": false, "AddressMode": "", "Interval": 0, "Timeout": 0,
            "InitialStatus": "", "Notes": "", "TLSServerName": "", "TLSSkipVerify": false, "Method": "",
            "Header": null, "CheckRestart": null, "GRPCService": "", "GRPCUseTLS": false, "TaskName": "",
            "SuccessBeforePassing": 0, "FailuresBeforeCritical": 0, "FailuresBeforeWarning": 0, "Body": "",
            "OnUpdate": "require_healthy"}),
    );
    if text(&check, "Name").is_empty() {
        set(&mut check, "Name", json!(format!("service: {:?} check", text(service, "Name"))));
    }
    if given["OnUpdate"].as_str().is_none_or(str::is_empty) {
        set(&mut check, "OnUpdate", service["OnUpdate"].clone());
    }
    if text(&check, "TaskName").is_empty() {
        set(&mut check, "TaskName", json!(task));
    }
    // What the check says itself, above what its service says for all of them.
    let mut own = given["CheckRestart"].clone();
    if let Some(own) = own.as_object_mut() {
        own.retain(|_, value| truthy(value));
    }
    let restart = filled(&own, &service["CheckRestart"]);
    if restart.as_object().is_some_and(|restart| !restart.is_empty()) {
        let usual = json!({"Limit": 0, "Grace": SECOND, "IgnoreWarnings": false});
        set(&mut check, "CheckRestart", filled(&restart, &usual));
    }
    null_if_empty(&mut check, "Args");
    null_if_empty(&mut check, "Header");
    if let Some(map) = check.as_object_mut() {
        map.remove("Id");
        map.retain(|key, value| key != "Advertise" || truthy(value));
    }
    check
}

/// `=` where a constraint names no operand.
fn constraints(holder: &mut Value) {
    for key in ["Constraints", "Affinities"] {
        if let Some(list) = holder[key].as_array_mut() {
            for item in list {
                if text(item, "Operand").is_empty() {
                    set(item, "Operand", json!("="));
                }
            }
        }
    }
}

/// What `given` says, and `defaults` for what it leaves out or says null to.
fn filled(given: &Value, defaults: &Value) -> Value {
    let mut out = Map::new();
    if let Some(defaults) = defaults.as_object() {
        out.extend(defaults.iter().map(|(k, v)| (k.clone(), v.clone())));
    }
    if let Some(given) = given.as_object() {
        for (key, value) in given {
            if !value.is_null() {
                out.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(out)
}

fn null_if_empty(holder: &mut Value, key: &str) {
    if empty(&holder[key]) {
        set(holder, key, Value::Null);
    }
}

fn update_defaults() -> Value {
    json!({"Stagger": 30 * SECOND, "MaxParallel": 1, "HealthCheck": "checks", "MinHealthyTime": 10 * SECOND,
        "HealthyDeadline": 5 * MINUTE, "ProgressDeadline": 10 * MINUTE, "AutoRevert": false,
        "AutoPromote": false, "Canary": 0})
}

fn reschedule_defaults(kind: &str) -> Value {
    if kind == "service" {
        json!({"Attempts": 0, "Interval": 0, "Delay": 30 * SECOND, "DelayFunction": "exponential",
            "MaxDelay": HOUR, "Unlimited": true})
    } else {
        json!({"Attempts": 1, "Interval": 24 * HOUR, "Delay": 5 * SECOND, "DelayFunction": "constant",
            "MaxDelay": 0, "Unlimited": false})
    }
}

fn periodic_defaults() -> Value {
    json!({"Enabled": true, "Spec": "", "Specs": null, "SpecType": "cron", "ProhibitOverlap": false,
        "TimeZone": "UTC"})
}

fn job_defaults(given: &Value) -> Value {
    json!({"Stop": false, "Region": "global", "Namespace": "default", "ID": "", "ParentID": "",
        "Name": given["ID"], "Type": "service", "Priority": 50, "AllAtOnce": false, "Datacenters": null,
        "NodePool": "default", "Constraints": null, "Affinities": null, "Spreads": null, "TaskGroups": null,
        "Multiregion": null, "Periodic": null, "ParameterizedJob": null, "Dispatched": false,
        "DispatchIdempotencyToken": "", "Payload": null, "Meta": null, "ConsulNamespace": "",
        "VaultNamespace": "", "NomadTokenID": "", "Status": "", "StatusDescription": "", "Stable": false,
        "Version": 0, "SubmitTime": 0, "CreateIndex": 0, "ModifyIndex": 0, "JobModifyIndex": 0, "UI": null,
        "VersionTag": null})
}

fn group_defaults() -> Value {
    json!({"Name": "", "Count": 1, "Update": null, "Migrate": null, "Constraints": null, "Scaling": null,
        "RestartPolicy": null, "Disconnect": null, "Tasks": null, "EphemeralDisk": null, "Meta": null,
        "ReschedulePolicy": null, "Affinities": null, "Spreads": null, "Networks": null, "Consul": null,
        "Services": null, "Volumes": null, "ShutdownDelay": null, "MaxRunDuration": null,
        "StopAfterClientDisconnect": null, "MaxClientDisconnect": null, "PreventRescheduleOnLost": false})
}

fn task_defaults() -> Value {
    json!({"Name": "", "Driver": "", "User": "", "Config": null, "Env": null, "Services": null, "Vault": null,
        "Secrets": null, "Consul": null, "Templates": null, "Constraints": null, "Affinities": null,
        "Resources": null, "RestartPolicy": null, "DispatchPayload": null, "Lifecycle": null, "Meta": null,
        "KillTimeout": 5 * SECOND, "LogConfig": null, "Artifacts": null, "Leader": false,
        "ShutdownDelay": 0, "VolumeMounts": null, "ScalingPolicies": null, "KillSignal": "", "Kind": "",
        "CSIPluginConfig": null, "Identity": null, "Identities": null, "Actions": null, "Schedule": null})
}

fn service_defaults(namespace: &str) -> Value {
    json!({"Name": "", "TaskName": "", "PortLabel": "", "AddressMode": "auto", "Address": "",
        "EnableTagOverride": false, "Tags": null, "CanaryTags": null, "Checks": null, "Connect": null,
        "Meta": null, "CanaryMeta": null, "Weights": null, "TaggedAddresses": null, "Namespace": namespace,
        "OnUpdate": "require_healthy", "Provider": "consul", "Cluster": "default", "Identity": null,
        "Kind": ""})
}
